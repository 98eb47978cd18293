import { spawn, type ChildProcess } from 'node:child_process'

import { LIMITS } from '../core/limits.ts'

/** Where the process that serves finds the bound socket. */
export const LISTEN_FD = 3

/** Of a supervisor whose Ctrl-C was pressed twice. */
export const EXIT_INTERRUPTED = 130
/** Of one whose process was ended by a signal. */
export const EXIT_SIGNALLED = 128

/** Who has served so long has not crashed because of how it was started. */
const HEALTHY_MS = 10_000

/** What a process that serves tells whoever launched it: at least that it can answer. */
interface Ready {
  readonly ready?: true
}

/** How one launch ended. */
export interface End {
  readonly pid: number | undefined
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly error: Error | undefined
  /** How long it could answer; undefined when it never could. */
  readonly servedMs: number | undefined
}

/** One launch of flexi itself as the process that serves, on a socket that we hold. */
export class ServedProcess<Message extends Ready, Order> {
  readonly ended: Promise<End>
  readonly #process: ChildProcess
  /** On the clock of `performance.now()`. */
  #readyAt: number | undefined
  #reloadWhenReady = false

  constructor(args: readonly string[], fd: number, onMessage: (message: Message) => void) {
    const [script = ''] = process.argv.slice(1)
    this.#process = spawn(process.execPath, [...process.execArgv, script, ...args], {
      // Of its own group: a terminal would send it Ctrl-C too, which is then the second one.
      detached: true,
      // It ends when the channel does: with us, whatever ends us.
      stdio: ['ignore', 'inherit', 'inherit', fd, 'ipc'],
    })
    this.#process.on('message', (message: Message) => {
      if (message.ready === true) this.#readyAt = performance.now()
      onMessage(message)
      if (message.ready === true && this.#reloadWhenReady) this.signal('SIGHUP')
    })
    this.ended = new Promise((resolve) => {
      const end = (rest: Pick<End, 'code' | 'signal' | 'error'>): void =>
        resolve({ pid: this.pid, servedMs: this.#servedMs(), ...rest })
      this.#process.once('error', (error) => {
        if (this.pid === undefined) end({ code: null, signal: null, error })
      })
      this.#process.once('exit', (code, signal) => end({ code, signal, error: undefined }))
    })
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  tell(message: Order & object): void {
    // It may be gone already, or not even have begun, which its end says.
    if (this.#process.connected) this.#process.send(message, ignore)
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** Kept until it listens to signals: before that, this one would end it. */
  reload(): void {
    if (this.#readyAt === undefined) this.#reloadWhenReady = true
    else this.signal('SIGHUP')
  }

  kill(): void {
    this.signal('SIGKILL')
  }

  #servedMs(): number | undefined {
    return this.#readyAt === undefined ? undefined : performance.now() - this.#readyAt
  }
}

/** `SIGSEGV`, `exit code 1`, or why it could not be started. */
export function describeEnd({ code, signal, error }: End): string {
  return signal ?? (error === undefined ? `exit code ${code}` : error.message)
}

/** When the next process is launched in place of one that crashed. */
export class Relaunches {
  #crashes = 0

  /** In a row, the last one included. */
  get crashes(): number {
    return this.#crashes
  }

  /** The first launch after a crash comes at once, each further one twice as late, until one has served for a while. */
  delayAfter({ servedMs }: End): number {
    this.#crashes = servedMs !== undefined && servedMs >= HEALTHY_MS ? 1 : this.#crashes + 1
    if (this.#crashes === 1) return 0
    return Math.min(LIMITS.restartDelayMs * 2 ** (this.#crashes - 2), LIMITS.restartDelayMaxMs)
  }
}

/** Of a supervisor, for people. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

export function ignore(): void {
  // It is gone already, somebody ended the wait, or nobody reads.
}
