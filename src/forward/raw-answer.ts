import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'

/** A whole response where Node made no ServerResponse: to broken requests, CONNECT, and refused upgrades. */
export interface RawAnswer {
  readonly status: number
  readonly contentType: string
  readonly text: string
  /** More fields: name, value, name, value … */
  readonly fields?: readonly string[] | undefined
}

/** How long the other side may take to close after it was told to. */
const LINGER_MS = 1_000

/** Writes the answer and closes; what the client still sends is read and dropped, so that no reset overtakes the answer. */
export function answerRaw(socket: Duplex, answer: RawAnswer): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const { status, contentType, text, fields = [] } = answer
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Connection: close',
    `Content-Type: ${contentType}`,
    `Content-Length: ${Buffer.byteLength(text)}`,
  ]
  for (let i = 0; i + 1 < fields.length; i += 2) lines.push(`${fields[i]}: ${fields[i + 1]}`)
  socket.on('error', ignore)
  socket.end(`${lines.join('\r\n')}\r\n\r\n${text}`)
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('end', () => socket.destroy()).once('close', () => clearTimeout(timer))
}

function ignore(): void {
  // The connection is given up anyway.
}
