import { FlexiError } from '../../core/errors.ts'
import type { Caller, DeploymentPart, DeploymentRequest, Digest } from '../model.ts'
import {
  asksIssuers,
  forwards,
  parseRoutes,
  routedFunctions,
  type ShippedTable,
} from '../routing/shipped-routes.ts'
import type { Parts } from './parts.ts'
import { demandHostNet } from './permissions.ts'
import { ROUTES } from './switchboard.ts'

/**
 * Whether what is to be deployed is there, signed as it must be, and allowed. Resolves to whose signature it has.
 * @throws FlexiError FLEXI_NO_INPUT, FLEXI_SIGNATURE, FLEXI_CONFIG, FLEXI_FORBIDDEN.
 */
export async function verifyPart(
  parts: Pick<Parts, 'artifacts' | 'signatures' | 'store' | 'accounts'>,
  caller: Caller,
  { part, request }: { readonly part: DeploymentPart; readonly request: DeploymentRequest },
): Promise<string | undefined> {
  const { artifacts, signatures } = parts
  const { name, artifact: digest, signature, config } = part
  if (config.provider === ROUTES)
    checkRoutes(parts, caller, { project: request.project, table: await parseRoutes(config.options) })
  const isThere = await hasContent(parts, caller, digest)
  // Nothing was uploaded for a dry run.
  if (!isThere && request.dryRun === true) return undefined
  if (!isThere)
    throw new FlexiError('FLEXI_NO_INPUT', `${name}: the artifact ${digest} was not uploaded`, {
      hint: 'Upload it first, or deploy with "flexi deploy".',
    })
  const signer = await signatures.verify({ digest, open: () => artifacts.open(digest) }, signature)
  return signer?.key
}

/**
 * Routes say what a function is told about who asks, and ask functions themselves who may: those that they lead to, and all of the project.
 * @throws FlexiError FLEXI_FORBIDDEN.
 */
function checkRoutes(
  { store, accounts }: Pick<Parts, 'store' | 'accounts'>,
  caller: Caller,
  { project, table }: { readonly project: string; readonly table: ShippedTable },
): void {
  if (forwards(table)) demandHostNet(caller, 'for routes that forward to other servers')
  if (asksIssuers(table))
    demandHostNet(caller, 'for routes whose tokens are checked by keys that the daemon fetches')
  const routed = routedFunctions(table)
  for (const row of store.functions.all())
    if (routed.has(row.name) || row.project === project) accounts.demand(caller, 'write', row.group)
}

/**
 * Whether an archive is there for somebody: they uploaded it, or may change a function that runs it. Its digest is told to all who may
 * read, and who has nothing but that could have a function of their own read the content to them.
 */
export async function hasContent(
  { artifacts, store, accounts }: Pick<Parts, 'artifacts' | 'store' | 'accounts'>,
  caller: Caller,
  digest: Digest,
): Promise<boolean> {
  if (!(await artifacts.has(digest))) return false
  if (accounts.may(caller, 'admin') || (await artifacts.isOf(caller.user, digest))) return true
  return store.functions
    .all()
    .filter(({ group }) => accounts.may(caller, 'write', group))
    .some(({ name }) => store.versions.of(name).some(({ artifact }) => artifact === digest))
}
