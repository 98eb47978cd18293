import { once } from 'node:events'
import { fstatSync } from 'node:fs'

import { flexilibLine, startApp, type App, type AppOptions } from '../app.ts'
import { FlexiError } from '../core/errors.ts'
import type { AccessRecord, DevEvent } from '../core/events.ts'
import type { LogLevel } from '../core/log.ts'
import type { AbsolutePath } from '../core/place.ts'
import type { Project } from '../core/project.ts'
import { DevScreen } from '../terminal/dev-screen.ts'
import { duration } from '../terminal/duration.ts'
import { paintFor } from '../terminal/paint.ts'
import { endByHangUp, type FromServer, type ToServer } from './proxy-supervisor.ts'
import { LISTEN_FD } from './served-process.ts'

export interface ProxyServerOptions {
  readonly directory: AbsolutePath
  readonly watch: AppOptions['watch']
  readonly timeoutMs: number
  readonly controlPrefix: string | false
  readonly https: boolean | undefined
  readonly logFormat: 'flexilib' | 'json'
  readonly logLevel: LogLevel
}

const EXIT_INTERRUPTED = 130

/**
 * Serves proxy.ini on the socket that the supervisor holds, until a signal or the supervisor's end asks for the end; returns the exit code.
 * @throws FlexiError as `startApp`; FLEXI_USAGE without a supervisor.
 */
export async function serveProxy(options: ProxyServerOptions): Promise<number> {
  requireSupervisor()
  const screen = screenOf(options)
  const session = new Session(screen)
  const lastGood = await toldLastGood()
  try {
    using _signals = session.listen()
    await using app = await startApp({
      ...options,
      mode: 'serve',
      only: 'proxy.ini',
      fd: LISTEN_FD,
      lastGood,
      portIsFixed: true,
      environment: process.env,
      startedAt: performance.timeOrigin,
      onEvent: (event) => session.show(event),
    })
    session.serve(app)
    tell({ ready: true, project: app.project })
    await session.stopped
  } finally {
    screen.flush()
  }
  if (session.hungUp) endByHangUp()
  return 0
}

/** Signals and what they do; before the app serves they wait for it. */
class Session {
  readonly stopped: Promise<void>
  readonly #screen: DevScreen
  #stop: (() => void) | undefined
  #app: App | undefined
  #wantsReload = false
  #reloading = false
  #hungUp = false
  /** Whether the last reading of the configuration failed. */
  #failed = false

  constructor(screen: DevScreen) {
    this.#screen = screen
    this.stopped = new Promise((resolve) => {
      this.#stop = resolve
    })
  }

  /** The terminal is gone, and with it whoever started us. */
  get hungUp(): boolean {
    return this.#hungUp
  }

  listen(): Disposable {
    const { interrupt, stop, reload, streamFailed } = this
    process.on('SIGINT', interrupt).on('SIGTERM', stop).on('SIGHUP', reload)
    process.on('disconnect', stop)
    process.stdout.on('error', streamFailed)
    process.stderr.on('error', streamFailed)
    return {
      [Symbol.dispose]: () => {
        process.off('SIGINT', interrupt).off('SIGTERM', stop).off('SIGHUP', reload).off('disconnect', stop)
      },
    }
  }

  serve(app: App): void {
    this.#app = app
    if (this.#wantsReload) this.reload()
  }

  show(event: DevEvent): void {
    if (event.event === 'error' && event.function === undefined) this.#failed = true
    if (event.event === 'configuration') this.#configured()
    // The supervisor says it, in FlexiLib's words.
    else if (event.event !== 'ready') this.#screen.show(event)
  }

  /** A log is no place for the table of routes: whoever wants it runs `flexi check`. */
  #configured(): void {
    if (this.#app !== undefined) tell({ project: this.#app.project })
    if (!this.#reloading) this.#screen.say('↻ proxy.ini')
  }

  readonly stop = (): void => {
    this.#stop?.()
    this.#stop = undefined
  }

  readonly interrupt = (): void => {
    if (this.#stop === undefined) process.exit(EXIT_INTERRUPTED)
    this.stop()
  }

  readonly reload = (): void => {
    if (this.#app === undefined) {
      this.#wantsReload = true
      return
    }
    const from = performance.now()
    this.#failed = false
    this.#reloading = true
    const app = this.#app
    void app.restart().then(() => {
      this.#reloading = false
      tell({ project: app.project })
      const what = this.#failed ? 'libraries; the last good proxy.ini serves on' : 'proxy.ini and libraries'
      this.#screen.say(`↻ ${what}  ${duration(performance.now() - from)}`)
    })
  }

  /** EIO is a terminal that has hung up. Without a reader of the log requests are served all the same. */
  readonly streamFailed = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EIO') return
    this.#hungUp = true
    this.stop()
  }
}

/** The supervisor's message has been on its way since before this process began. */
async function toldLastGood(): Promise<Project | undefined> {
  const [{ lastGood }] = (await once(process, 'message')) as [ToServer]
  return lastGood as Project | undefined
}

function tell(message: FromServer): void {
  // Without a supervisor this process ends: its channel has closed.
  if (process.connected) process.send?.(message, () => undefined)
}

function requireSupervisor(): void {
  if (process.send !== undefined && isSocket(LISTEN_FD)) return
  throw new FlexiError('FLEXI_USAGE', '--child is for the supervisor of "flexi proxy"', {
    hint: 'Leave it away.',
  })
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket()
  } catch {
    return false
  }
}

function screenOf({ directory, logFormat, logLevel }: ProxyServerOptions): DevScreen {
  return new DevScreen({
    directory,
    level: logLevel,
    log: process.stderr,
    results: process.stdout,
    accessFormat: logFormat === 'json' ? jsonLine : flexilibLine,
    paint: paintFor(process.stderr, process.env),
    version: '',
    networkAddresses: [],
    keys: false,
  })
}

function jsonLine(record: AccessRecord, time: Date): string {
  return JSON.stringify({ time: time.toISOString(), ...record })
}
