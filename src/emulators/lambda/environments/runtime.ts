import type { Child } from '../../../instances/child.ts'
import type { Spare } from '../../../instances/standby.ts'
import type { Confined } from '../confined.ts'
import type { Environment, EnvironmentEvents } from './environment.ts'
import { RuntimeApi, type RuntimeApiEvents } from './runtime-api.ts'
import { shellExit } from './shell-exit.ts'
import { openSurroundings, type Surroundings } from './surroundings.ts'

export interface RuntimeProcessOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly environment: Readonly<Record<string, string>>
  readonly functionArn: string
  /** Awaited before the process starts: what shares its API is there first. What it rejects with is the error of the Init. Whoever gives it closes the API. */
  readonly before?: ((surroundings: Surroundings, api: RuntimeApi) => Promise<void>) | undefined
  readonly confined: Confined
  /** It is a runtime of ours, which speaks to Unix sockets too. */
  readonly speaksSockets: boolean
}

/** A runtime's process and the API it talks to. */
export interface RuntimeProcess extends Spare {
  /** Resolves when the process was started. */
  readonly started: Promise<Child>
  readonly api: RuntimeApi
  events: EnvironmentEvents | undefined
  initialised: ((outcome: { readonly error: Buffer | undefined }) => void) | undefined
  readonly dispose: () => Promise<void>
  readonly hasEnded: boolean
}

export function startRuntimeProcess(options: RuntimeProcessOptions): RuntimeProcess {
  let alive = true
  let isReady = false
  const becameReady = (): void => void (isReady = true)
  const api = new RuntimeApi(
    options.functionArn,
    apiEvents(() => process_, becameReady),
  )
  const closing: { surroundings?: Surroundings } = {}
  // What shares the API may outlive the runtime, and closes it then.
  const close = (): void => {
    if (options.before !== undefined) return
    api.close()
    void closing.surroundings?.close()
  }
  const ended = (): void => {
    alive = false
    close()
  }
  const onLine = (stream: 'stdout' | 'stderr', text: string): void =>
    process_.events?.printed({ stream, level: undefined, text, format: 'text' })
  const start = async (): Promise<Child> => {
    const child = await startIn(closing, { ...options, api, onLine })
    void child.exited.then(ended)
    return child
  }
  const dispose = async (): Promise<void> => {
    const child = await process_.started.catch(() => undefined)
    child?.kill()
    await child?.exited
    close()
  }
  const process_: RuntimeProcess = {
    started: start(),
    api,
    events: undefined,
    initialised: undefined,
    get alive() {
      return alive && !isReady
    },
    get hasEnded() {
      return !alive
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
  // A spare may have nobody yet who waits for it.
  process_.started.catch(ended)
  return process_
}

interface StartOptions extends RuntimeProcessOptions {
  readonly api: RuntimeApi
  readonly onLine: (stream: 'stdout' | 'stderr', text: string) => void
}

/** What it runs in is put into `place` as soon as it is there. */
async function startIn(place: { surroundings?: Surroundings }, options: StartOptions): Promise<Child> {
  const { api, confined, cwd, before, onLine, command, args } = options
  const speaksSockets = options.speaksSockets && before === undefined
  const surroundings = await openSurroundings({ api, confined, cwd, speaksSockets, onLine })
  place.surroundings = surroundings
  await before?.(surroundings, api)
  const environment = { ...options.environment, AWS_LAMBDA_RUNTIME_API: surroundings.address }
  return surroundings.start({ command, args, cwd, environment, onLine })
}

/** What the runtime says goes to whoever uses its process. */
function apiEvents(of: () => RuntimeProcess, becameReady: () => void): RuntimeApiEvents {
  return {
    ready() {
      becameReady()
      of().initialised?.({ error: undefined })
    },
    idle: () => of().events?.idle(),
    notice: (text) => of().events?.printed({ stream: 'stdout', level: undefined, text, format: 'notice' }),
    initError: (payload) => of().initialised?.({ error: payload }),
    streamStarted: (contentType) => of().events?.streamStarted(contentType),
    streamChunk: (bytes, taken) => of().events?.streamChunk(bytes, taken),
    done: (outcome) => of().events?.done(outcome),
  }
}

/** An environment for any program that speaks the Runtime API. `variables` reach only a runtime of ours, which asks for them. */
export async function runtimeEnvironment(
  process_: RuntimeProcess,
  variables: Readonly<Record<string, string>>,
): Promise<Environment> {
  const child = await process_.started.catch((error: unknown) => refusal(error))
  if (Buffer.isBuffer(child)) return refused(child, process_.dispose)
  return {
    get pid() {
      return child.programPid()
    },
    polls: true,
    initialise(events) {
      return new Promise((resolve) => {
        process_.events = events
        process_.initialised = resolve
        process_.api.load(variables)
        void child.exited.then((exit) => events.gone(shellExit(exit)))
      })
    },
    invoke: (invocation) => process_.api.invoke(invocation),
    terminate() {
      child.kill('SIGTERM')
      return !process_.hasEnded
    },
    kill: process_.dispose,
  }
}

function refusal(error: unknown): Buffer {
  const { name, message } = error instanceof Error ? error : new Error(String(error))
  return Buffer.from(JSON.stringify({ errorType: name, errorMessage: message }))
}

/** An environment whose process was never started. */
function refused(error: Buffer, kill: () => Promise<void>): Environment {
  return { pid: undefined, initialise: () => Promise.resolve({ error }), invoke: () => undefined, kill }
}
