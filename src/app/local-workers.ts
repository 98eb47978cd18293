import { silentLogger } from '../core/log.ts'
import { readProject } from '../config/project.ts'
import { emulators } from '../emulators/registry.ts'
import type { openLocalState } from '../emulators/workers/state/index.ts'
import { makeStateDirectory } from './files.ts'
import { functionScope } from './scope.ts'
import type { WorkerStateOptions } from './worker-state.ts'

/** The workers that a project's files name. @throws FlexiError FLEXI_CONFIG. */
export async function readWorkers(
  options: WorkerStateOptions,
): Promise<Parameters<typeof openLocalState>[0]> {
  const { directory, configFile, env } = options
  const environment =
    env === undefined ? options.environment : { ...options.environment, CLOUDFLARE_ENV: env }
  const project = await readProject({ directory, configFile, environment, emulators })
  const app = {}
  return {
    prepare: () => makeStateDirectory(project.directory),
    functions: project.functions.filter(({ provider }) => provider === 'workers'),
    scopeOf: (name) =>
      functionScope(name, {
        app,
        directory,
        mode: 'serve',
        threads: 1,
        preallocationKb: 0,
        origin: () => undefined,
        log: silentLogger,
        onEvent: () => undefined,
      }),
  }
}
