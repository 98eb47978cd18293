import {
  Http1Connection,
  type Asker,
  type ConnectionOwner,
  type ConnectionTarget,
} from './http1-connection.ts'

export interface Http1PoolOptions extends ConnectionTarget {
  /** How long a connection may have been idle to be used again; default 4 000, below what servers keep. */
  readonly keepAliveMs?: number | undefined
}

const KEEP_ALIVE_MS = 4_000

/** Connections to one server of HTTP/1.1: as many as there are requests at once, kept for the next ones. */
export class Http1Pool implements ConnectionOwner {
  readonly #target: Http1PoolOptions
  /** The one used last is at the end: it is the one least likely to be closed by the server. */
  readonly #idle: Http1Connection[] = []
  readonly #all = new Set<Http1Connection>()
  #closed = false

  constructor(options: Http1PoolOptions) {
    this.#target = options
  }

  /**
   * A connection for one request. `fresh` opens a new one.
   * It need not be open yet: what is sent waits until it is.
   */
  take(asker: Asker, fresh = false): Http1Connection {
    const connection = (fresh ? undefined : this.#takeIdle()) ?? this.#open()
    connection.begin(asker)
    if (this.#closed) connection.fail(poolClosed())
    return connection
  }

  #takeIdle(): Http1Connection | undefined {
    const limit = performance.now() - (this.#target.keepAliveMs ?? KEEP_ALIVE_MS)
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.isUsable && connection.idleSince >= limit) return connection
      connection.destroy()
    }
    return undefined
  }

  #open(): Http1Connection {
    const connection = new Http1Connection(this.#target, this)
    this.#all.add(connection)
    return connection
  }

  release(connection: Http1Connection): void {
    connection.idleSince = performance.now()
    this.#idle.push(connection)
  }

  forget(connection: Http1Connection): void {
    this.#all.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at !== -1) this.#idle.splice(at, 1)
  }

  /** Breaks what is under way, and whatever is asked from now on. */
  close(): void {
    this.#closed = true
    for (const connection of this.#all) connection.fail(poolClosed())
  }
}

function poolClosed(): Error {
  return Object.assign(new Error('the connections to it were closed'), { code: 'ECONNABORTED' })
}
