import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * Lets a client that waits for `100 Continue` send its content when somebody first reads it, and not before: content that is
 * refused is never sent, and Node ends a connection on which it was expected (RFC 9110 section 10.1.1).
 */
export function continueWhenRead(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const read = incoming._read.bind(incoming)
  incoming._read = (size) => {
    incoming._read = read
    if (!outgoing.headersSent && !outgoing.destroyed) outgoing.writeContinue()
    read(size)
  }
}
