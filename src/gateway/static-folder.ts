import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'

import type { SendStream } from 'send'

import { FlexiError } from '../core/errors.ts'
import type { SocketFetcher } from '../core/fetcher.ts'
import type { AbsolutePath } from '../core/place.ts'
import { pathOf } from './route-table.ts'

export interface StaticFolderOptions {
  /** Part of the path that the folder's files do not have: `/assets/` serves `/assets/a.css` from `a.css`. */
  readonly stripPrefix?: string | undefined
}

/** An absolute reference whose path starts with two slashes would name another host. */
const LEADING_SLASHES = /^\/+/

/**
 * Serves files with types, validators and ranges; `index.html` for a folder. Hidden files stay hidden, and nothing
 * outside the folder can be named.
 */
export function staticFolder(directory: AbsolutePath, options: StaticFolderOptions = {}): SocketFetcher {
  const stripped = (options.stripPrefix ?? '/').replace(/\/+$/, '')
  return {
    async handle(incoming, outgoing, context) {
      if (incoming.method !== 'GET' && incoming.method !== 'HEAD') {
        refuseMethod(outgoing)
        return
      }
      const path = pathOf(context.raw.target)
      const inside = path.startsWith(stripped) ? path.slice(stripped.length) : path
      const file = inside.replace(LEADING_SLASHES, '/')
      if (hasHiddenPart(file)) throw noFile(path)
      const { default: send } = await import('send')
      const stream = send(incoming, file.startsWith('/') ? file : `/${file}`, {
        root: directory,
        dotfiles: 'allow',
      })
      await answer(stream, outgoing, { path, incoming })
    },
  }
}

function refuseMethod(outgoing: ServerResponse): void {
  outgoing.writeHead(405, ['Allow', 'GET, HEAD', 'Content-Length', '0'])
  outgoing.end()
}

/** `/.env`, `/a/.git/config`, however it is encoded; `/.well-known/` is meant to be seen (RFC 8615). */
function hasHiddenPart(path: string): boolean {
  return decoded(path)
    .split('/')
    .some((part) => part.startsWith('.') && part !== '.well-known')
}

/** What cannot be decoded is refused by `send`. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

interface Asked {
  readonly path: string
  readonly incoming: IncomingMessage
}

/** Settles with the response; rejects when nothing was sent. */
function answer(stream: SendStream, outgoing: ServerResponse, asked: Asked): Promise<void> {
  return new Promise((resolve, reject) => {
    outgoing.once('close', resolve)
    stream.on('directory', () => redirect(outgoing, asked))
    stream.on('error', (error: SendError) => {
      outgoing.off('close', resolve)
      if (error.statusCode === 416) {
        outgoing.writeHead(416, { ...error.headers, 'Content-Length': 0 })
        outgoing.end(resolve)
      } else {
        reject(failure(error, asked.path))
      }
    })
    stream.pipe(outgoing)
  })
}

interface SendError extends Error {
  readonly statusCode?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** A folder's relative links need its slash. */
function redirect(outgoing: ServerResponse, { path, incoming }: Asked): void {
  const query = (incoming.url ?? '').indexOf('?')
  const suffix = query === -1 ? '' : (incoming.url ?? '').slice(query)
  outgoing.writeHead(301, [
    'Location',
    `${path.replace(LEADING_SLASHES, '/')}/${suffix}`,
    'Content-Length',
    '0',
  ])
  outgoing.end()
}

function failure(error: SendError, path: string): Error {
  const status = error.statusCode ?? 500
  if (status === 404 || status === 403) return noFile(path)
  if (status < 500)
    return new FlexiError('FLEXI_BAD_REQUEST', `${path}: ${STATUS_CODES[status] ?? error.message}`)
  return error
}

function noFile(path: string): FlexiError {
  return new FlexiError('FLEXI_NO_INPUT', `no file answers ${path}`)
}
