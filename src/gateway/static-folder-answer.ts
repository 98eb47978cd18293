import type { ReadStream } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname } from 'node:path'

import type { OpenFile } from './static-folder-files.ts'

export interface FileAnswer {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly file: OpenFile
  /** As the client knows it: the type goes by it. */
  readonly name: string
  readonly cacheControl: string
  /** The answer depends on what the client can read. */
  readonly varies: boolean
}

/**
 * Answers with an open file: `send` compares validators and cuts ranges. Resolves when the response has ended, and the file is
 * closed by then. A file that shrinks while it is sent cuts the connection: its length was promised.
 */
export async function answerFile(answer: FileAnswer): Promise<void> {
  const { incoming, outgoing, file, name } = answer
  const { default: send } = await import('send')
  if (outgoing.destroyed) return file.handle.close()
  setFields(answer)
  const stream = send(incoming, '/', { cacheControl: false, ...withHandle(file) })
  // What `pipe` does before it looks for a file, which is open already.
  Reflect.set(stream, 'res', outgoing)
  stream.type(name)
  return new Promise((resolve, reject) => {
    outgoing.once('close', () => {
      file.handle.close().then(resolve, reject)
    })
    stream.on('stream', (reading: ReadStream) => watchEnd(reading, outgoing))
    stream.on('error', (error: SendError) => {
      if (!outgoing.headersSent && !refuse(error, outgoing)) reject(error)
      else if (!outgoing.writableEnded) outgoing.destroy()
    })
    stream.send(name, file.stats)
  })
}

function setFields({ outgoing, file, name, cacheControl, varies }: FileAnswer): void {
  const { size, mtimeMs } = file.stats
  const type = TYPES.get(extname(name).toLowerCase())
  if (type !== undefined) outgoing.setHeader('Content-Type', type)
  outgoing.setHeader('Cache-Control', cacheControl)
  if (varies) outgoing.setHeader('Vary', 'Accept-Encoding')
  if (file.encoding !== undefined) outgoing.setHeader('Content-Encoding', file.encoding)
  // Strong, as nginx makes it of the same two: a part may then be asked for by it.
  outgoing.setHeader('ETag', `"${size.toString(16)}-${Math.floor(mtimeMs * 1_000).toString(16)}"`)
}

/** RFC 9239, where the table of `send` has older names. */
const JAVASCRIPT = 'text/javascript; charset=utf-8'
const TYPES = new Map([
  ['.js', JAVASCRIPT],
  ['.mjs', JAVASCRIPT],
  ['.cjs', JAVASCRIPT],
])

/** `send` hands its options to `createReadStream`. */
function withHandle({ handle }: OpenFile): object {
  return { fd: handle, autoClose: false }
}

/** The end of the file comes before the end that was promised. */
function watchEnd(reading: ReadStream, outgoing: ServerResponse): void {
  const promised = Number(outgoing.getHeader('content-length'))
  const push = reading.push.bind(reading)
  // Before its readers hear of the end and take it for that of the response.
  reading.push = (chunk, encoding) => {
    if (chunk !== null || reading.bytesRead >= promised) return push(chunk, encoding)
    reading.destroy(new Error('the file became shorter while it was sent'))
    return false
  }
}

interface SendError extends Error {
  readonly statusCode?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** 412 and 416 are answers to conditions and ranges; anything else is a file that cannot be read. */
function refuse({ statusCode, headers }: SendError, outgoing: ServerResponse): boolean {
  if (statusCode !== 412 && statusCode !== 416) return false
  for (const name of ['Content-Type', 'Content-Encoding', 'Content-Range', 'Content-Length'])
    outgoing.removeHeader(name)
  outgoing.writeHead(statusCode, { ...headers, 'Content-Length': 0 })
  outgoing.end()
  return true
}
