import type { IncomingMessage } from 'node:http'

import { FlexiError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'

/**
 * The whole request body, in the pieces it came in.
 * @throws FlexiError FLEXI_BODY_TOO_LARGE beyond `LIMITS.bodyBytesMax`, FLEXI_CLIENT_GONE when the client leaves before its end.
 */
export function readContent(
  incoming: IncomingMessage,
  bytesMax: number = LIMITS.bodyBytesMax,
): Promise<Buffer[]> {
  const announced = Number(incoming.headers['content-length'] ?? 0)
  if (announced > bytesMax) return Promise.reject(tooLarge(bytesMax))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length
      chunks.push(chunk)
      if (bytes > bytesMax) stop(() => reject(tooLarge(bytesMax)))
    }
    const onEnd = (): void => stop(() => resolve(chunks))
    const onClose = (): void =>
      stop(() =>
        reject(new FlexiError('FLEXI_CLIENT_GONE', 'the client left before its request was complete')),
      )
    const stop = (settle: () => void): void => {
      incoming.off('data', onData).off('end', onEnd).off('close', onClose)
      settle()
    }
    incoming.on('data', onData).on('end', onEnd).on('close', onClose)
  })
}

function tooLarge(bytesMax: number): FlexiError {
  return new FlexiError(
    'FLEXI_BODY_TOO_LARGE',
    `the request body is larger than ${bytesMax / 1024 / 1024} MB`,
    {
      hint: 'A native library gets its body in one piece; send less.',
    },
  )
}
