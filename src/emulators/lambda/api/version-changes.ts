import { createHash, randomUUID } from 'node:crypto'

import type { ApiFunction } from '../../../core/function.ts'
import { VERSION } from '../definition.ts'
import { layersOf } from '../layers/layer.ts'
import { settingsOf } from '../service/function-settings.ts'
import { checkRevision, invalidParameter } from './api-error.ts'
import { foundIn, type ApiParts, type Changes } from './api-parts.ts'
import type { CodeStore } from './code-store.ts'
import { projectCode, type FunctionConfiguration } from './configuration.ts'
import type { FoundFunction } from './functions.ts'
import type { StoredConfig, VersionState } from './state.ts'

export function versionChanges(parts: ApiParts): Changes {
  return {
    PublishVersion: async (call, input) => {
      const found = foundIn(parts, call)
      const { CodeSha256, RevisionId } = parts.configurations.show(found, VERSION)
      const sha256 = input.text('CodeSha256')
      if (sha256 !== undefined && sha256 !== '' && sha256 !== CodeSha256)
        throw invalidParameter(
          `CodeSHA256 (${sha256}) is different from current CodeSHA256 in $LATEST (${CodeSha256}). Please try again with the CodeSHA256 in $LATEST.`,
        )
      checkRevision(input.text('RevisionId'), RevisionId)
      return await publish(parts, found, input.text('Description'))
    },
  }
}

/** `$LATEST` as it is, under the next number; the last number where nothing has changed since. @throws FlexiError FLEXI_BUILD. */
export async function publish(
  parts: ApiParts,
  found: FoundFunction,
  description?: string,
): Promise<FunctionConfiguration> {
  const { deployments, configurations, now } = parts
  const { functions, codes } = deployments
  const { name, served } = found
  const kept = functions.kept(name)
  const own = deployments.ownOf(found)
  const config = deployments.versionConfig(found)
  const { sha256 } = own.code ?? projectCode(served)
  const source = createHash('sha256')
    .update(JSON.stringify([config, sha256, own.details]))
    .digest('hex')
  const last = String(kept.lastVersion)
  if (kept.versions[last]?.source !== source) {
    const version: VersionState = {
      config: await withCopiedLayers(codes, served, config),
      code: own.code ?? (await codes.addPackage(served, sha256)),
      details: description === undefined ? own.details : { ...own.details, Description: description },
      modifiedAt: now(),
      revisionId: randomUUID(),
      source,
    }
    await deployments.publish(name, String(kept.lastVersion + 1), version)
    await moveOwnAlias(parts, found, String(kept.lastVersion + 1))
  }
  const number = String(functions.kept(name).lastVersion)
  return configurations.show(functions.find(name), number, number)
}

/** What becomes of a layer of the project later on is nothing to the version. */
async function withCopiedLayers(
  codes: CodeStore,
  served: ApiFunction,
  config: StoredConfig,
): Promise<StoredConfig> {
  const names = settingsOf(config).layers
  if (names === undefined) return config
  const { layers } = layersOf({ ...served.config, options: config.options })
  const copies = new Map<string, string>()
  for (const layer of layers) copies.set(layer.name, await codes.addLayer(layer))
  return {
    ...config,
    options: { ...config.options, layers: names.map((name) => copies.get(name) ?? name) },
  }
}

/** The alias that the function's settings name follows `$LATEST` until somebody publishes; from then on, what was published. */
async function moveOwnAlias({ deployments }: ApiParts, found: FoundFunction, number: string): Promise<void> {
  const { alias } = settingsOf(found.served.config)
  if (alias === undefined) return
  await deployments.functions.keep(found.name, (kept) => ({
    ...kept,
    aliases: { ...kept.aliases, [alias]: { version: number, description: '', revisionId: randomUUID() } },
  }))
}
