import type { IncomingMessage, ServerResponse } from 'node:http'

import type { RequestContext, SocketFetcher, Upgrade } from '../core/fetcher.ts'
import type { InvokeContext, InvokeResult, Limiter } from '../core/function.ts'
import { throttled } from './pool-errors.ts'
import type { Pool } from './pool.ts'

/** A pool as it is reached: what its limiter does not let in is turned away at once, whether or not an instance is free. */
export class LimitedPool implements SocketFetcher {
  readonly #name: string
  readonly #pool: Pool
  #limiter: Limiter | undefined

  constructor(name: string, pool: Pool) {
    this.#name = name
    this.#pool = pool
  }

  /** What runs already is not asked again. */
  limit(limiter: Limiter | undefined): void {
    this.#limiter = limiter
  }

  get upgrade(): Upgrade | undefined {
    return this.#pool.upgrade
  }

  handle(incoming: IncomingMessage, outgoing: ServerResponse, context: RequestContext): Promise<void> {
    return this.#limiter === undefined
      ? this.#pool.handle(incoming, outgoing, context)
      : this.#handleLimited(this.#limiter, { incoming, outgoing, context })
  }

  invoke(payload: Uint8Array, context: InvokeContext): Promise<InvokeResult> {
    return this.#limiter === undefined
      ? this.#pool.invoke(payload, context)
      : this.#invokeLimited(this.#limiter, payload, context)
  }

  async #handleLimited(limiter: Limiter, exchange: Parameters<Pool['refuse']>[1]): Promise<void> {
    if (!limiter.enter()) {
      this.#pool.refuse(throttled(this.#name), exchange)
      return
    }
    try {
      await this.#pool.handle(exchange.incoming, exchange.outgoing, exchange.context)
    } finally {
      limiter.leave()
    }
  }

  async #invokeLimited(limiter: Limiter, payload: Uint8Array, context: InvokeContext): Promise<InvokeResult> {
    if (!limiter.enter()) throw throttled(this.#name)
    try {
      return await this.#pool.invoke(payload, context)
    } finally {
      limiter.leave()
    }
  }
}
