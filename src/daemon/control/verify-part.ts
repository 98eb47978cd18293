import { FlexiError } from '../../core/errors.ts'
import type { Caller, DeploymentPart } from '../model.ts'
import { forwards, parseRoutes } from '../routing/shipped-routes.ts'
import type { Parts } from './parts.ts'
import { demandHostNet } from './permissions.ts'
import { ROUTES } from './switchboard.ts'

/**
 * Whether what is to be deployed is there, signed as it must be, and allowed. Resolves to whose signature it has.
 * @throws FlexiError FLEXI_NO_INPUT, FLEXI_SIGNATURE, FLEXI_CONFIG, FLEXI_FORBIDDEN.
 */
export async function verifyPart(
  { artifacts, signatures }: Pick<Parts, 'artifacts' | 'signatures'>,
  caller: Caller,
  { part, dryRun }: { readonly part: DeploymentPart; readonly dryRun: boolean },
): Promise<string | undefined> {
  const { name, artifact: digest, signature, config } = part
  if (config.provider === ROUTES && forwards(await parseRoutes(config.options)))
    demandHostNet(caller, 'for routes that forward to other servers')
  const isThere = await artifacts.has(digest)
  // Nothing was uploaded for a dry run.
  if (!isThere && dryRun) return undefined
  if (!isThere)
    throw new FlexiError('FLEXI_NO_INPUT', `${name}: the artifact ${digest} was not uploaded`, {
      hint: 'Upload it first, or deploy with "flexi deploy".',
    })
  const signer = await signatures.verify({ digest, open: () => artifacts.open(digest) }, signature)
  return signer?.key
}
