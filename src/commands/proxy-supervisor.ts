import { setTimeout as sleep } from 'node:timers/promises'

import { holdPort, type HeldPort } from '../app/held-port.ts'
import {
  describeEnd,
  EXIT_INTERRUPTED,
  EXIT_SIGNALLED,
  ignore,
  Relaunches,
  say,
  ServedProcess,
  type End,
} from './served-process.ts'

export interface SuperviseOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** Of flexi's own command line, for the process that serves. */
  readonly args: readonly string[]
}

/** What the process that serves tells its supervisor. */
export interface FromServer {
  /** It can answer. */
  readonly ready?: true
  /** What it serves, for the one after it, should this one crash while the file is at fault. JSON. */
  readonly project: unknown
}

/** The first and only message to the process that serves. */
export interface ToServer {
  /** What the one before it has served. */
  readonly lastGood?: unknown
}

/** How long a drain may last before we say that we wait for it. */
const SAY_DRAINING_AFTER_MS = 200

/**
 * Holds the port and keeps a process serving on it, and returns the exit code: 0 when that one ended in peace, its own when it could
 * not start at all.
 * @throws FlexiError FLEXI_PORT_TAKEN, FLEXI_USAGE for an address that cannot be listened on.
 */
export async function superviseServer(options: SuperviseOptions): Promise<number> {
  using port = await holdPort(options)
  const supervisor = new Supervisor(options, port)
  using _signals = supervisor.listenToSignals()
  return await supervisor.run()
}

/** What ends with its terminal ends by its signal: Node would abort when it resets a terminal that is gone. */
export function endByHangUp(): void {
  process.removeAllListeners('SIGHUP').kill(process.pid, 'SIGHUP')
}

class Supervisor {
  readonly #options: SuperviseOptions
  readonly #port: HeldPort
  #server: ServedProcess<FromServer, ToServer> | undefined
  #lastGood: unknown
  /** The first signal that asked for the end. */
  #stopping: NodeJS.Signals | undefined
  /** Ends the pause before the next launch. */
  #wake = new AbortController()
  #everReady = false
  readonly #relaunches = new Relaunches()

  constructor(options: SuperviseOptions, port: HeldPort) {
    this.#options = options
    this.#port = port
  }

  listenToSignals(): Disposable {
    const { interrupt, terminate, hangUp } = this
    process.on('SIGINT', interrupt).on('SIGTERM', terminate).on('SIGHUP', hangUp)
    // Whoever read our lines is gone; requests are served all the same.
    process.stderr.on('error', ignore)
    return {
      [Symbol.dispose]: () => {
        process.off('SIGINT', interrupt).off('SIGTERM', terminate).off('SIGHUP', hangUp)
      },
    }
  }

  async run(): Promise<number> {
    for (;;) {
      this.#server = new ServedProcess<FromServer, ToServer>(this.#options.args, this.#port.fd, (message) =>
        this.#hear(message),
      )
      this.#server.tell({ lastGood: this.#lastGood })
      const end = await this.#server.ended
      this.#server = undefined
      const exit = this.#exitAfter(end)
      if (exit !== undefined) return exit
      await this.#pauseAfter(end)
      if (this.#stopping !== undefined) return 0
    }
  }

  readonly interrupt = (): void => {
    if (this.#stopping !== undefined) {
      this.#server?.kill()
      process.exit(EXIT_INTERRUPTED)
    }
    this.#stop('SIGINT')
    setTimeout(
      () => say('finishing what is running; press Ctrl-C again to quit now'),
      SAY_DRAINING_AFTER_MS,
    ).unref()
  }

  /** Once: its repetition is no impatience. */
  readonly terminate = (): void => {
    if (this.#stopping === undefined) this.#stop('SIGTERM')
  }

  readonly hangUp = (): void => {
    // Nobody serves: what kept it from that may be mended now.
    if (this.#server === undefined) this.#wake.abort()
    else this.#server.reload()
  }

  #stop(signal: NodeJS.Signals): void {
    this.#stopping = signal
    // Nobody will serve what comes now: it is refused, not kept waiting.
    this.#port[Symbol.dispose]()
    this.#wake.abort()
    this.#server?.signal(signal)
  }

  #hear({ ready, project }: FromServer): void {
    this.#lastGood = project
    if (ready !== true) return
    const { host } = this.#options
    const process_ = `${process.pid} (served by ${this.#server?.pid})`
    if (this.#everReady) say(`pid: ${process_}`)
    else
      say(
        `listening on port: ${this.#port.port} of ${host}${host === '0.0.0.0' ? ', every IPv4 address' : ''}\npid: ${process_}`,
      )
    this.#everReady = true
  }

  /** Undefined when another launch is due. */
  #exitAfter({ code, signal, error, servedMs }: End): number | undefined {
    if (code === 0) return 0
    if (signal === 'SIGHUP' && servedMs !== undefined) endByHangUp()
    if (this.#stopping !== undefined) return signal === this.#stopping ? 0 : (code ?? EXIT_SIGNALLED)
    if (this.#everReady) return undefined
    if (error !== undefined) throw error
    // It has said why.
    return code ?? undefined
  }

  async #pauseAfter(end: End): Promise<void> {
    const delayMs = this.#relaunches.delayAfter(end)
    const when = delayMs === 0 ? 'now' : `in ${delayMs} ms, time ${this.#relaunches.crashes} in a row`
    say(
      `the process that served (${end.pid ?? 'not started'}) ended with ${describeEnd(end)}; launching another ${when}`,
    )
    this.#wake = new AbortController()
    if (delayMs > 0) await sleep(delayMs, undefined, { signal: this.#wake.signal }).catch(ignore)
  }
}
