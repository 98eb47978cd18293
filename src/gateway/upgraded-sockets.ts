import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import type { AccessRecord } from '../core/events.ts'
import type { Exchange } from './context.ts'

/** Connections that changed their protocol: no longer anyone's request, and not ended by themselves when a server stops. */
export class UpgradedSockets {
  readonly #open = new Set<Duplex>()
  #idle: (() => void) | undefined

  add(socket: Duplex): void {
    this.#open.add(socket)
    socket.once('close', () => {
      this.#open.delete(socket)
      if (this.#open.size === 0) this.#idle?.()
    })
  }

  /** Resolves when the last of them has closed. */
  idle(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve()
    return new Promise((resolve) => (this.#idle = resolve))
  }

  cut(): void {
    for (const socket of this.#open) socket.destroy()
  }
}

/** To be called when the connection has closed: what the access log says of it. */
export function upgradeRecord(exchange: Exchange, socket: Socket): () => AccessRecord {
  const before = socket.bytesWritten
  return () => {
    const status = exchange.notes['status']
    const bytes = socket.bytesWritten - before
    return exchange.record({ status: typeof status === 'number' ? status : 101, bytes, headAt: 0 })
  }
}
