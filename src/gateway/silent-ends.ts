import type { Socket } from 'node:net'

const LOOK_MS = 250

interface Look {
  readonly socket: Socket
  bytesWritten: number
}

/** What Node's socket stands on, and what HTTP/2 reads and writes itself once it has the connection. */
interface Handle {
  readonly bytesWritten: number
  readStart(): number
}

/**
 * Finds out that the client of an HTTP/2 connection is gone while it takes none of an answer. Node stops to read such a
 * connection until its last write is through; over TLS a write that fails never is (its error is dropped on the way up),
 * and then neither the end nor the reset is ever read. A connection that wrote nothing for a while is therefore told to read:
 * that costs nothing when it reads anyway, and what the windows of its streams allow when it does not.
 */
export class SilentEnds {
  readonly #looks = new Set<Look>()
  #timer: NodeJS.Timeout | undefined

  watch(socket: Socket): void {
    const look = { socket, bytesWritten: -1 }
    this.#looks.add(look)
    this.#timer ??= setInterval(() => this.#lookAtAll(), LOOK_MS).unref()
    // Who ends its side of HTTP/2 waits for nothing, and what is not written by now never will be.
    socket.once('end', () => socket.destroy())
    socket.once('close', () => this.#forget(look))
  }

  #lookAtAll(): void {
    for (const look of this.#looks) {
      const handle = handleOf(look.socket)
      if (handle === undefined) continue
      const { bytesWritten } = handle
      if (bytesWritten === look.bytesWritten) handle.readStart()
      else look.bytesWritten = bytesWritten
    }
  }

  #forget(look: Look): void {
    this.#looks.delete(look)
    if (this.#looks.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** Node has no public name for it: a socket that HTTP/2 has cannot be resumed. */
function handleOf(socket: Socket): Handle | undefined {
  return (Reflect.get(socket, '_handle') as Handle | null) ?? undefined
}
