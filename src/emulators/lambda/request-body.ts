import type { IncomingMessage } from 'node:http'

import { FlexiError } from '../../core/errors.ts'

/**
 * The whole body; undefined when the request has none.
 * @throws FlexiError FLEXI_BODY_TOO_LARGE before more than `bytesMax` are held, FLEXI_CLIENT_GONE when the rest never comes.
 */
export function readBody(incoming: IncomingMessage, bytesMax: number): Promise<Buffer> | undefined {
  const { headers } = incoming
  const announced = headers['content-length']
  if (headers['transfer-encoding'] === undefined && (announced === undefined || announced === '0'))
    return undefined
  const known = ahead.get(incoming)
  if (known !== undefined) return known
  if (Number(announced) > bytesMax) return Promise.reject(tooLarge(bytesMax))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      chunks.push(chunk)
      if (bytes <= bytesMax) return
      incoming.pause()
      incoming.removeAllListeners('data')
      reject(tooLarge(bytesMax))
    })
    incoming.on('end', () =>
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, bytes)),
    )
    incoming.on('error', (cause) => reject(clientGone(cause)))
    incoming.on('close', () => reject(clientGone(undefined)))
  })
}

const ahead = new WeakMap<IncomingMessage, Promise<Buffer>>()

/** The same for somebody who looks at it before the function does: it is there for the next reader too. */
export function readAhead(incoming: IncomingMessage, bytesMax: number): Promise<Buffer> | undefined {
  const body = readBody(incoming, bytesMax)
  if (body !== undefined) ahead.set(incoming, body)
  return body
}

export function tooLarge(bytesMax: number): FlexiError {
  return new FlexiError(
    'FLEXI_BODY_TOO_LARGE',
    `the request is larger than the ${bytesMax} bytes a Lambda event may have`,
  )
}

function clientGone(cause: unknown): FlexiError {
  return new FlexiError('FLEXI_CLIENT_GONE', 'the client left before its request was complete', { cause })
}
