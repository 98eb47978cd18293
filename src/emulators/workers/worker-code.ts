import { dirname, join } from 'node:path'

import type { Code, Instance } from '../../core/function.ts'
import type { Revision } from '../../core/place.ts'
import { CONSOLE_NAME, consoleModule } from './console-module.ts'
import { ASSETS_ONLY_MODULE, FACADE_NAME, facadeModule, facadeScript, type FacadeNames } from './facade.ts'
import { ownsData } from './groups/owned-data.ts'
import type { BuiltWorker } from './groups/groups.ts'
import type { MiniflareModuleSource, MiniflareSource } from './miniflare.ts'
import { blobPath } from './bindings.ts'
import { hash } from './settings.ts'
import { scriptRoot } from './stack.ts'

/**
 * One revision of a worker. In development nothing is exclusive to the pool: the group exchanges runtimes, and requests wait there when they
 * must. Versions that are deployed know nothing of each other.
 */
export function workerCode(built: BuiltWorker, start: () => Promise<Instance>): Code {
  const { settings, program } = built
  return {
    revision: hash(settings.fingerprint, program?.hash ?? '') as Revision,
    concurrency: Infinity,
    instancesMax: 1,
    upgrades: true,
    exclusive: settings.inputs.isShipped === true && ownsData(built),
    start,
  }
}

export interface WorkerSourceOptions {
  /** In the runtime. */
  readonly name: string
  readonly names: FacadeNames
  readonly breakAtStart?: boolean | undefined
}

/** The program as its runtime loads it, with our module around it. */
export function workerSource(
  { settings, program }: BuiltWorker,
  { name: worker, names, breakAtStart }: WorkerSourceOptions,
): MiniflareSource {
  const root = scriptRoot(dirname(settings.config.configPath ?? '.'), worker)
  // Paths, not only names: they are what a stack shows.
  const module = (
    type: MiniflareModuleSource['type'],
    name: string,
    contents: string | Uint8Array,
  ): MiniflareModuleSource => ({
    type,
    path: `${root}/${name}`,
    contents,
  })
  if (program === undefined)
    return { modules: [module('ESModule', FACADE_NAME, ASSETS_ONLY_MODULE)], modulesRoot: root }
  if (program.format === 'service-worker') {
    const { wasm_modules } = settings.config
    const own = Object.entries(wasm_modules ?? {}).map(([key, path]) => [key, blobPath(path)])
    const { script } = facadeScript(program.code, { names, breakAtStart })
    const scriptPath = join(root, program.name)
    return { script, scriptPath, wasmBindings: { ...Object.fromEntries(own), ...program.wasmGlobals } }
  }
  return {
    modules: [
      module(
        'ESModule',
        FACADE_NAME,
        facadeModule({ program: program.name, exports: program.exports, names, breakAtStart }),
      ),
      module('ESModule', CONSOLE_NAME, consoleModule(names.console)),
      module('ESModule', program.name, program.code),
      ...program.modules.map(({ type, name, contents }) => module(type, name, contents)),
    ],
    modulesRoot: root,
  }
}
