import { randomUUID } from 'node:crypto'

import { VERSION } from '../definition.ts'
import type { ApiCall } from './api-call.ts'
import { checkRevision, conflict, invalidParameter } from './api-error.ts'
import { foundIn, type ApiParts, type Changes } from './api-parts.ts'
import { changedConfiguration, type FindLayers } from './configuration-input.ts'
import { CREATING, UPDATING, type FunctionConfiguration } from './configuration.ts'
import { parseFunctionName } from './function-name.ts'
import { isVersion, type FoundFunction } from './functions.ts'
import { movable } from './version-config.ts'
import type { Input } from './input.ts'
import type { CodeState, OwnConfiguration } from './state.ts'
import type { Urls } from './urls.ts'
import { publish } from './version-changes.ts'

/** Functions made, changed and taken away through the API. */
export function functionChanges(parts: ApiParts, layersOf: FindLayers, urls: Urls): Changes {
  const { functions } = parts.deployments
  return {
    CreateFunction: async (_call, input) => {
      const name = await create(parts, input, layersOf)
      const found = functions.find(name)
      const shown =
        input.flag('Publish') === true
          ? await publish(parts, { ...found, qualifier: VERSION })
          : parts.configurations.show(found, VERSION)
      // The answer that makes a function names it without the version, published or not.
      return { ...shown, FunctionArn: functions.arn(found.served), ...CREATING }
    },
    UpdateFunctionConfiguration: async (call, input) => {
      const found = latest(parts, call)
      checkRevision(input.text('RevisionId'), parts.configurations.show(found, VERSION).RevisionId)
      const own = parts.deployments.ownOf(found)
      await deploy(parts, found, { ...own, ...changedConfiguration(input, own, layersOf) })
      return updated(parts, found)
    },
    UpdateFunctionCode: (call, input) => updateCode(parts, latest(parts, call), input),
    DeleteFunction: async (call) => {
      const found = foundIn(parts, call)
      const had = Object.keys(functions.kept(found.name).urls)
      await remove(parts, found)
      for (const qualifier of had) await urls.serve(found.name, qualifier)
    },
    PutFunctionRecursionConfig: (call) => {
      foundIn(parts, call)
      return { RecursiveLoop: 'Terminate' }
    },
  }
}

/** What is changed is always `$LATEST`. */
function latest(parts: ApiParts, call: ApiCall): FoundFunction {
  const found = foundIn(parts, call)
  if (found.qualifier === undefined || found.qualifier === VERSION) return found
  throw invalidParameter('Only $LATEST can be changed: a version is as it was published.')
}

async function create(parts: ApiParts, input: Input, layersOf: FindLayers): Promise<string> {
  const { deployments, now } = parts
  const { name } = parseFunctionName(input.needed('FunctionName'))
  if (name.length > 64)
    throw input.invalidText('FunctionName', 'Member must have length less than or equal to 64')
  input.needed('Role')
  if (deployments.functions.served(name) !== undefined) throw conflict(`Function already exist: ${name}`)
  if (input.text('PackageType') === 'Image')
    throw invalidParameter('flexi runs no container images: send a ZipFile.')
  for (const member of ['Handler', 'Runtime']) {
    if (!input.has(member))
      throw invalidParameter(
        'Runtime and Handler are mandatory parameters for functions created with deployment packages.',
      )
  }
  const code = await codeOf(parts, input.child('Code') ?? input)
  const start = { config: { environment: {}, options: {} }, details: {} }
  const changed = changedConfiguration(input, start, layersOf)
  const own: OwnConfiguration = { ...changed, code, modifiedAt: now(), revisionId: randomUUID() }
  await deployments.deploy(name, own, true)
  const tags = input.map('Tags')
  if (tags !== undefined) await deployments.functions.keep(name, (kept) => ({ ...kept, tags }))
  return name
}

/** @throws ApiError InvalidParameterValueException when there is no zip to take. */
async function codeOf({ deployments }: ApiParts, input: Input): Promise<CodeState> {
  const zip = input.text('ZipFile')
  if (zip !== undefined) return await deployments.codes.addZip(Buffer.from(zip, 'base64'))
  if (input.has('S3Bucket') || input.has('S3Key'))
    throw invalidParameter('flexi has no S3 to take code from: send it as ZipFile.')
  if (input.has('ImageUri')) throw invalidParameter('flexi runs no container images: send a ZipFile.')
  throw invalidParameter('Please provide a source for function code.')
}

async function updateCode(
  parts: ApiParts,
  found: FoundFunction,
  input: Input,
): Promise<FunctionConfiguration> {
  checkRevision(input.text('RevisionId'), parts.configurations.show(found, VERSION).RevisionId)
  const code = await codeOf(parts, input)
  const own = parts.deployments.ownOf(found)
  const architectures = input.texts('Architectures')
  const details = architectures === undefined ? own.details : { ...own.details, Architectures: architectures }
  if (input.flag('DryRun') === true)
    return { ...parts.configurations.show(found, VERSION), CodeSha256: code.sha256, CodeSize: code.bytes }
  await deploy(parts, found, { ...own, config: movable(own.config, found.served), details, code })
  return input.flag('Publish') === true
    ? { ...(await publish(parts, found)), ...CREATING }
    : updated(parts, found)
}

async function deploy(parts: ApiParts, found: FoundFunction, own: OwnConfiguration): Promise<void> {
  const next = { ...own, modifiedAt: parts.now(), revisionId: randomUUID() }
  await parts.deployments.deploy(found.name, next, false)
}

function updated(parts: ApiParts, { name }: FoundFunction): FunctionConfiguration {
  const found = parts.deployments.functions.find(name)
  return { ...parts.configurations.show(found, VERSION), ...UPDATING }
}

async function remove(parts: ApiParts, { name, qualifier, served }: FoundFunction): Promise<void> {
  const { deployments } = parts
  const kept = deployments.functions.kept(name)
  if (qualifier === undefined) {
    if (kept.created !== true)
      throw invalidParameter(
        `${name} is in the project's files (${served.config.origin.file}): take it out there, and it is gone.`,
      )
    return await parts.deployments.remove(name)
  }
  if (qualifier === VERSION)
    throw invalidParameter('$LATEST version cannot be deleted without deleting the function.')
  if (!isVersion(qualifier)) throw invalidParameter('Deletion of aliases is not currently supported.')
  const aliases = Object.entries(kept.aliases).filter(
    ([, alias]) => alias.version === qualifier || alias.additional?.version === qualifier,
  )
  if (aliases.length > 0) {
    const names = aliases.map(([alias]) => alias).join(', ')
    throw conflict(`Function version ${qualifier} is in use by the aliases [${names}].`)
  }
  await deployments.unpublish(name, qualifier)
}
