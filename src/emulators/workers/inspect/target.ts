import { createHash } from 'node:crypto'

import { WebSocket } from 'ws'

import { readScripts } from './scripts.ts'
import type { StackOptions } from '../stack.ts'
import { Session, type DebuggedWorker } from './session.ts'

/** A worker in a runtime. */
export interface RunningScript {
  /** `ws://127.0.0.1:PORT/core:user:NAME` */
  readonly url: string
  readonly script: StackOptions
  readonly token: string
}

export interface Attachment extends Disposable {
  /** Resolves when a debugger that is there has all its breakpoints in it. */
  readonly ready: Promise<unknown>
}

export interface TargetOptions {
  /** The function's name. */
  readonly name: string
  readonly breakAtStart: boolean
  tell(level: 'info' | 'warn', text: string): void
}

/** What a debugger chooses from a list: one function, whatever runs it. */
export class Target {
  readonly name: string
  readonly id: string
  readonly #options: TargetOptions
  readonly #runs: { readonly worker: DebuggedWorker; readonly key: RunningScript }[] = []
  #session: Session | undefined
  /** Resolves when the debugger before has left. */
  #left: Promise<void> = Promise.resolve()
  /** Resolves when a debugger is there. */
  readonly attached: Promise<void>
  #resolveAttached: () => void = () => undefined
  #stops: boolean

  constructor(options: TargetOptions) {
    this.#options = options
    this.name = options.name
    this.id = idOf(options.name)
    this.#stops = options.breakAtStart
    this.attached = new Promise((resolve) => (this.#resolveAttached = resolve))
  }

  get isAttached(): boolean {
    return this.#session !== undefined
  }

  /** It runs there now; before, until disposed of, elsewhere. */
  run(key: RunningScript): Attachment {
    const worker = { url: key.url, token: key.token, scripts: readScripts(key.script) }
    const run = { key, worker }
    this.#runs.push(run)
    void this.#session?.lead(worker)
    return {
      ready: this.#session?.arrived ?? Promise.resolve(),
      [Symbol.dispose]: () => {
        const at = this.#runs.indexOf(run)
        if (at === -1) return
        const isLast = at === this.#runs.length - 1
        this.#runs.splice(at, 1)
        if (isLast) void this.#session?.lead(this.#runs.at(-1)?.worker)
      },
    }
  }

  /** One debugger at a time, because workerd knows but one. */
  connect(client: WebSocket): void {
    client.on('error', () => client.terminate())
    if (this.#session?.isAlive === true) {
      this.#options.tell(
        'warn',
        `a second debugger was turned away from ${this.name}: close the first one, then attach again`,
      )
      client.close(1013, 'Another debugger is attached')
      return
    }
    const session = new Session({
      client,
      breakAtStart: this.#stops,
      connect: (url) => new WebSocket(url, { perMessageDeflate: false, maxPayload: 0 }),
      onReady: () => this.#resolveAttached(),
    })
    void this.#leave()
    this.#session = session
    this.#stops = false
    client.once('close', () => {
      if (this.#session === session) void this.#leave()
    })
    // workerd takes one debugger after the other.
    void this.#left.then(() => {
      if (this.#session === session) void session.lead(this.#runs.at(-1)?.worker)
    })
  }

  #leave(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    if (session !== undefined) this.#left = session.lead(undefined)
    return this.#left
  }

  close(): void {
    this.#session?.close()
    this.#resolveAttached()
  }
}

/** The same at each start, so that a window of DevTools that stayed open finds it again. */
function idOf(name: string): string {
  const hex = createHash('sha256').update(`flexi ${name}`).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  )
}
