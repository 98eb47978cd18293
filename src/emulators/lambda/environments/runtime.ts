import { startChild, type Child } from '../../../instances/child.ts'
import type { Spare } from '../../../instances/standby.ts'
import type { Environment, EnvironmentEvents } from './environment.ts'
import { RuntimeApi } from './runtime-api.ts'

export interface RuntimeProcessOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly environment: Readonly<Record<string, string>>
  readonly functionArn: string
}

/** A runtime's process and the API it talks to. */
export interface RuntimeProcess extends Spare {
  /** Resolves when the process was started. */
  readonly started: Promise<Child>
  readonly api: RuntimeApi
  events: EnvironmentEvents | undefined
  initialised: ((outcome: { readonly error: Buffer | undefined }) => void) | undefined
  readonly dispose: () => Promise<void>
}

export function startRuntimeProcess(options: RuntimeProcessOptions): RuntimeProcess {
  let alive = true
  let isReady = false
  const api = new RuntimeApi(options.functionArn, {
    ready() {
      isReady = true
      process_.initialised?.({ error: undefined })
    },
    initError: (payload) => process_.initialised?.({ error: payload }),
    streamStarted: (contentType) => process_.events?.streamStarted(contentType),
    streamChunk: (bytes, taken) => process_.events?.streamChunk(bytes, taken),
    done: (outcome) => process_.events?.done(outcome),
  })
  const start = async (): Promise<Child> => {
    const address = await api.listen()
    const child = startChild({
      ...options,
      environment: { ...options.environment, AWS_LAMBDA_RUNTIME_API: address },
      onLine: (stream, text) => process_.events?.printed({ stream, level: undefined, text, format: 'text' }),
    })
    void child.exited.then(() => {
      alive = false
      api.close()
    })
    return child
  }
  const dispose = async (): Promise<void> => {
    const child = await process_.started
    child.kill()
    await child.exited
  }
  const process_: RuntimeProcess = {
    started: start(),
    api,
    events: undefined,
    initialised: undefined,
    get alive() {
      return alive && !isReady
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
  return process_
}

/** An environment for any program that speaks the Runtime API. `variables` reach only a runtime of ours, which asks for them. */
export async function runtimeEnvironment(
  process_: RuntimeProcess,
  variables: Readonly<Record<string, string>>,
): Promise<Environment> {
  const child = await process_.started
  return {
    pid: child.pid,
    initialise(events) {
      return new Promise((resolve) => {
        process_.events = events
        process_.initialised = resolve
        process_.api.load(variables)
        void child.exited.then((exit) => events.gone(exit))
      })
    },
    invoke: (invocation) => process_.api.invoke(invocation),
    kill: process_.dispose,
  }
}
