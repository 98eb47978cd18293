import type { Socket } from 'node:net'

import { errorCode } from './upstream-error.ts'

type Callback = (error?: Error | null) => void

/**
 * A server may answer without reading the content and close: the rest of it then meets a reset connection, while the
 * answer still lies in the receive buffer. A failed write must not throw that answer away; the read that follows tells.
 */
export function readToTheEnd(socket: Socket): Socket {
  const write = socket._write.bind(socket)
  const writev = socket._writev?.bind(socket)
  let last: Callback | undefined
  let lenient: Callback = ignore
  // A stream has one callback for all its writes.
  const unlessCut = (callback: Callback): Callback => {
    if (callback === last) return lenient
    last = callback
    lenient = (error) => callback(isCut(error) ? null : error)
    return lenient
  }
  socket._write = (chunk: unknown, encoding, callback) => write(chunk, encoding, unlessCut(callback))
  if (writev !== undefined) socket._writev = (chunks, callback) => writev(chunks, unlessCut(callback))
  return socket
}

function isCut(error: Error | null | undefined): boolean {
  if (error === undefined || error === null) return false
  const code = errorCode(error)
  return code === 'EPIPE' || code === 'ECONNRESET'
}

function ignore(): void {
  // Nothing was written yet.
}
