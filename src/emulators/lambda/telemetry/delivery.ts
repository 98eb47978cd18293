import { Agent, request } from 'node:http'
import { connect, type NetConnectOpts, type Socket } from 'node:net'

import type { Subscription } from './subscription.ts'

/** Where batches go. Each takes one at a time. */
interface Sender {
  /** @throws when it was not taken. */
  send(items: readonly string[]): Promise<void>
  close(): void
}

/** The path of the Unix socket that leads to a port. */
export type Reach = (port: number) => Promise<string>

export interface DeliveryOptions {
  readonly subscription: Subscription
  /** Undefined where its port can be reached as it is. */
  readonly reach?: Reach | undefined
  /** Waits before a batch is tried again. */
  readonly retryDelaysMs?: readonly number[] | undefined
  /** So much could not be delivered. */
  dropped(records: number, bytes: number): void
}

const RETRY_DELAYS_MS = [100, 400, 1600]
const SEND_MS = 5000
/** What may wait for one subscriber: then the oldest is dropped. */
const WAITING_BYTES_MAX = 8 * 1024 * 1024

/** Collects what one subscriber is sent, and sends it in batches, one after the other. Nobody waits for it. */
export class Delivery {
  readonly #options: DeliveryOptions
  readonly #sender: Sender
  #items: string[] = []
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<void> | undefined
  #isClosed = false

  constructor(options: DeliveryOptions) {
    this.#options = options
    const { reach, subscription } = options
    const { destination } = subscription
    this.#sender =
      destination.protocol === 'TCP'
        ? tcpSender(destination.port, reach)
        : httpSender(destination.url, { method: destination.method, reach })
  }

  /** `item` is an event as JSON. */
  add(item: string): void {
    if (this.#isClosed) return
    this.#items.push(item)
    this.#bytes += item.length
    if (this.#bytes > WAITING_BYTES_MAX) this.#dropOldest()
    const { maxItems, maxBytes, timeoutMs } = this.#options.subscription.buffering
    if (this.#items.length >= maxItems || this.#bytes >= maxBytes) this.#pump()
    else if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.#pump(), timeoutMs)
      this.#timer.unref()
    }
  }

  /** Sends what there is. Resolves when it was taken, or given up. */
  async flush(): Promise<void> {
    while (!this.#isClosed && (this.#items.length > 0 || this.#sending !== undefined)) {
      this.#pump()
      await this.#sending
    }
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#sender.close()
  }

  #pump(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#sending !== undefined || this.#items.length === 0) return
    const batch = this.#takeBatch()
    this.#sending = this.#send(batch).finally(() => {
      this.#sending = undefined
      // What came in meanwhile has waited long enough.
      if (!this.#isClosed) this.#pump()
    })
  }

  #takeBatch(): readonly string[] {
    const { maxItems, maxBytes } = this.#options.subscription.buffering
    let count = 0
    let bytes = 0
    for (const item of this.#items) {
      if (count === maxItems || (count > 0 && bytes + item.length > maxBytes)) break
      count += 1
      bytes += item.length
    }
    this.#bytes -= bytes
    return this.#items.splice(0, count)
  }

  async #send(batch: readonly string[]): Promise<void> {
    for (const delayMs of [...(this.#options.retryDelaysMs ?? RETRY_DELAYS_MS), undefined]) {
      try {
        await this.#sender.send(batch)
        return
      } catch {
        if (delayMs === undefined || this.#isClosed) break
        await new Promise((resolve) => {
          setTimeout(resolve, delayMs).unref()
        })
      }
    }
    if (!this.#isClosed) this.#options.dropped(batch.length, bytesOf(batch))
  }

  #dropOldest(): void {
    const dropped = this.#items.splice(0, Math.ceil(this.#items.length / 2))
    const bytes = bytesOf(dropped)
    this.#bytes -= bytes
    this.#options.dropped(dropped.length, bytes)
  }
}

function bytesOf(items: readonly string[]): number {
  return items.reduce((sum, item) => sum + item.length, 0)
}

function httpSender(
  url: URL,
  { method, reach }: { readonly method: string; readonly reach: Reach | undefined },
): Sender {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return {
    async send(items) {
      const socketPath = await reach?.(Number(url.port))
      const to = socketPath === undefined ? {} : { socketPath }
      const body = `[${items.join(',')}]`
      const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
      return new Promise((resolve, reject) => {
        const outgoing = request(url, { ...to, method, agent, headers, timeout: SEND_MS }, (incoming) => {
          incoming.resume()
          const { statusCode = 500 } = incoming
          incoming.once('close', () =>
            statusCode < 300 ? resolve() : reject(new Error(`the subscriber answered ${statusCode}`)),
          )
        })
        outgoing.once('timeout', () => outgoing.destroy(new Error('the subscriber does not answer')))
        outgoing.once('error', reject)
        outgoing.end(body)
      })
    },
    close: () => agent.destroy(),
  }
}

/** One JSON a line. */
function tcpSender(port: number, reach: Reach | undefined): Sender {
  let socket: Socket | undefined
  const open = async (): Promise<Socket> => {
    const path = await reach?.(port)
    return connected(path === undefined ? { port, host: '127.0.0.1' } : { path })
  }
  const connected = (to: NetConnectOpts): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const opened = connect(to, () => resolve(opened))
      opened.once('error', reject)
      opened.once('close', () => {
        socket = undefined
      })
      opened.unref()
    })
  return {
    async send(items) {
      const to = (socket ??= await open())
      await new Promise<void>((resolve, reject) => {
        to.write(`${items.join('\n')}\n`, (error) =>
          error === undefined || error === null ? resolve() : reject(error),
        )
      })
    },
    close: () => void socket?.end(),
  }
}
