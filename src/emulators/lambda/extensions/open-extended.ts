import { fileURLToPath } from 'node:url'

import { hostFiles } from '../../../instances/host-files.ts'
import { confined } from '../confined.ts'
import { ownArn, type Definition } from '../definition.ts'
import type { Environment } from '../environments/environment.ts'
import { RuntimeApi, type RuntimeApiEvents } from '../environments/runtime-api.ts'
import { openSurroundings, type Surroundings } from '../environments/surroundings.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { ExtendedEnvironment, type ExtendedOptions } from './extended-environment.ts'

export interface OpenExtendedOptions {
  readonly definition: Definition
  readonly runtime: ExtendedOptions['runtime']
  readonly variables: ExtendedOptions['variables']
}

/** An environment with extensions for a runtime that speaks the Runtime API itself. */
export function extendedRuntime(
  options: OpenExtendedOptions,
  startRuntime: ExtendedOptions['startRuntime'],
): Environment {
  return new ExtendedEnvironment({ ...options, telemetry: new Telemetry(), startRuntime })
}

/** The same for a runtime with a channel of its own: `start` is told where the APIs are. */
export function extendedHost(
  options: OpenExtendedOptions,
  start: (surroundings: Surroundings) => Environment,
): Environment {
  return extendedRuntime(options, async (before) => {
    const { definition } = options
    const api = new RuntimeApi(ownArn(definition), UNUSED)
    const host = hostFiles(fileURLToPath(import.meta.resolve('#host/lambda')))
    const surroundings = await openSurroundings({
      api,
      confined: confined(definition, host),
      cwd: definition.taskRoot,
      speaksSockets: false,
      onLine: (stream, text) => definition.scope.output({ stream, level: 'error', text }),
    })
    await before(surroundings, api)
    return start(surroundings)
  })
}

const nothing = (): void => undefined

/** Nobody polls there: events go another way. */
const UNUSED: RuntimeApiEvents = {
  ready: nothing,
  notice: nothing,
  idle: nothing,
  initError: nothing,
  streamStarted: nothing,
  streamChunk: nothing,
  done: nothing,
}
