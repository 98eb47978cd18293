import type { IncomingMessage, ServerResponse } from 'node:http'

import { FlexiError } from '../../core/errors.ts'

/** @throws FlexiError FLEXI_BODY_TOO_LARGE when the request says itself that its content is larger. */
export function checkAnnounced({ headers }: IncomingMessage, bytesMax: number): void {
  if (Number(headers['content-length'] ?? 0) > bytesMax) throw tooLarge(bytesMax)
}

/** How HTTP/1.1 says it, and requests of HTTP/2 in its stead. */
export function hasUnknownLength({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined
}

/**
 * Rejects when content of unknown length turns out to be larger than it may be; never settles otherwise.
 * What exceeds it reaches nobody, and whoever reads the content is told by its early end, never by a whole one.
 */
export function countContent(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  bytesMax: number,
): Promise<never> {
  return new Promise((_resolve, reject) => {
    let bytes = 0
    // Whatever reads, and however: all content passes here, and its flow is not touched.
    const push = incoming.push.bind(incoming)
    incoming.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
      bytes += chunk?.length ?? 0
      if (bytes <= bytesMax) return push(chunk, encoding)
      // Dropped, so that a client which writes before it reads comes to the answer. A part is not to be taken for the whole.
      if (chunk === null) giveUp(incoming, outgoing)
      else if (outgoing.headersSent && !outgoing.writableEnded) outgoing.destroy()
      else reject(tooLarge(bytesMax))
      return true
    }
  })
}

/** Its readers wait for an end that must not come: they get a closed connection, once the client has its answer. */
function giveUp(incoming: IncomingMessage, outgoing: ServerResponse): void {
  if (!outgoing.headersSent) outgoing.shouldKeepAlive = false
  if (outgoing.writableFinished) incoming.destroy()
  else outgoing.once('finish', () => incoming.destroy())
}

function tooLarge(bytesMax: number): FlexiError {
  return new FlexiError(
    'FLEXI_BODY_TOO_LARGE',
    `the content is larger than the ${bytesMax} bytes it may have`,
  )
}
