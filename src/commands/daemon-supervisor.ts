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

export interface SuperviseDaemonOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** Of flexi's own command line, for the process that serves. */
  readonly args: readonly string[]
  /** Another process serves now: the first, one after a crash, or a successor. */
  onReady(server: DaemonReady): Promise<void>
}

export interface DaemonReady {
  /** Of the process that serves. */
  readonly pid: number
  readonly url: string
  /** The operator's Unix socket. */
  readonly socket: string
  readonly functions: number
  /** Of the very first start, to be shown once. */
  readonly rootToken?: string | undefined
  readonly isFirst: boolean
}

/** What the process that serves tells. */
export interface FromDaemon {
  readonly ready?: true
  readonly url: string
  readonly socket: string
  readonly functions: number
  readonly rootToken?: string | undefined
}

/** What it is told: to finish what it has for as long as that lasts, because another one serves. */
export interface ToDaemon {
  readonly retire: true
}

type DaemonProcess = ServedProcess<FromDaemon, ToDaemon>

/**
 * Holds the port, keeps a process serving on it, and exchanges it at SIGHUP: the next one answers before the old one stops to listen, and
 * the old one finishes what it has. @returns the exit code.
 * @throws FlexiError FLEXI_PORT_TAKEN, FLEXI_USAGE for an address that cannot be listened on.
 */
export async function superviseDaemon(options: SuperviseDaemonOptions): Promise<number> {
  using port = await holdPort(options)
  const supervisor = new DaemonSupervisor(options, port)
  using _signals = supervisor.listenToSignals()
  return await supervisor.run()
}

class DaemonSupervisor {
  readonly #options: SuperviseDaemonOptions
  readonly #port: HeldPort
  /** Serves, or is to serve first. */
  #current: DaemonProcess | undefined
  #successor: DaemonProcess | undefined
  #exchange = signal()
  readonly #retiring = new Set<DaemonProcess>()
  #isStopping = false
  #everReady = false
  readonly #relaunches = new Relaunches()
  #wake = new AbortController()

  constructor(options: SuperviseDaemonOptions, port: HeldPort) {
    this.#options = options
    this.#port = port
  }

  listenToSignals(): Disposable {
    const { interrupt, stop, restart } = this
    process.on('SIGINT', interrupt).on('SIGTERM', stop).on('SIGHUP', restart)
    process.stderr.on('error', ignore)
    return {
      [Symbol.dispose]: () => {
        process.off('SIGINT', interrupt).off('SIGTERM', stop).off('SIGHUP', restart)
      },
    }
  }

  async run(): Promise<number> {
    this.#current = this.#launch()
    for (;;) {
      const served: DaemonProcess = this.#current
      const end = await Promise.race([served.ended, this.#exchange.done])
      // A successor took its place: what is left of it ends by itself.
      if (end === undefined || served !== this.#current) continue
      const exit = this.#exitAfter(end)
      if (exit !== undefined) {
        await Promise.all([...this.#retiring].map((old) => old.ended))
        return exit
      }
      await this.#pauseAfter(end)
      if (this.#isStopping) return 0
      this.#current = this.#next()
    }
  }

  /** After a crash. One that was to take over is its successor no longer: it would be told to retire when it serves. */
  #next(): DaemonProcess {
    const next = this.#successor ?? this.#launch()
    this.#successor = undefined
    return next
  }

  readonly interrupt = (): void => {
    if (this.#isStopping) {
      for (const one of this.#all()) one.kill()
      process.exit(EXIT_INTERRUPTED)
    }
    say('finishing what is running; press Ctrl-C again to quit now')
    this.stop()
  }

  readonly stop = (): void => {
    if (this.#isStopping) return
    this.#isStopping = true
    this.#port[Symbol.dispose]()
    this.#wake.abort()
    for (const one of this.#all()) one.signal('SIGTERM')
  }

  /** SIGHUP. One at a time; before the first process serves there is nothing to exchange. */
  readonly restart = (): void => {
    this.#wake.abort()
    if (this.#isStopping || !this.#everReady || this.#successor !== undefined) return
    const successor = this.#launch()
    this.#successor = successor
    void successor.ended.then((end) => {
      if (this.#successor !== successor) return
      this.#successor = undefined
      say(`the new process ended with ${describeEnd(end)} before it could serve; the old one serves on`)
    })
  }

  #all(): readonly DaemonProcess[] {
    return [this.#current, this.#successor, ...this.#retiring].filter((one) => one !== undefined)
  }

  #launch(): DaemonProcess {
    const launched: DaemonProcess = new ServedProcess(
      this.#options.args,
      this.#port.fd,
      (message: FromDaemon) => {
        if (message.ready === true) this.#enter(launched, message)
      },
    )
    return launched
  }

  #enter(server: DaemonProcess, message: FromDaemon): void {
    const isFirst = !this.#everReady
    this.#everReady = true
    if (this.#successor === server) {
      const old = this.#current
      this.#current = server
      this.#successor = undefined
      if (old !== undefined) this.#retire(old)
      this.#exchange.tell()
      this.#exchange = signal()
    }
    this.#options
      .onReady({ ...message, pid: server.pid ?? 0, isFirst })
      .catch((error: unknown) => say(error instanceof Error ? error.message : String(error)))
  }

  #retire(old: DaemonProcess): void {
    this.#retiring.add(old)
    void old.ended.then(() => this.#retiring.delete(old))
    old.tell({ retire: true })
  }

  /** Undefined when another launch is due. */
  #exitAfter({ code, error }: End): number | undefined {
    if (this.#isStopping) return code ?? 0
    if (code === 0) return 0
    if (this.#everReady) return undefined
    if (error !== undefined) throw error
    // It has said why.
    return code ?? EXIT_SIGNALLED
  }

  async #pauseAfter(end: End): Promise<void> {
    const delayMs = this.#relaunches.delayAfter(end)
    say(
      `the process that served (${end.pid ?? 'not started'}) ended with ${describeEnd(end)}; launching another`,
    )
    this.#wake = new AbortController()
    if (delayMs > 0) await sleep(delayMs, undefined, { signal: this.#wake.signal }).catch(ignore)
  }
}

function signal(): { readonly done: Promise<undefined>; tell(): void } {
  let tell: () => void = ignore
  const done = new Promise<undefined>((resolve) => (tell = () => resolve(undefined)))
  return { done, tell: () => tell() }
}
