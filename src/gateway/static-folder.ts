import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname } from 'node:path'

import { FlexiError } from '../core/errors.ts'
import type { SocketFetcher } from '../core/fetcher.ts'
import type { AbsolutePath } from '../core/place.ts'
import type { StaticSettings } from '../core/route.ts'
import { pathOf } from '../forward/request-line.ts'
import { answerFile } from './static-folder-answer.ts'
import { FolderFiles, type OpenEntry } from './static-folder-files.ts'
import { readPath, type NamedFile } from './static-folder-path.ts'

export interface StaticFolderOptions extends StaticSettings {
  /** Part of the path that the folder's files do not have: `/assets/` serves `/assets/a.css` from `a.css`. */
  readonly stripPrefix?: string | undefined
}

/**
 * Serves the files of a folder with types, validators and ranges; compressed siblings in their place; an index for a folder; a
 * fallback for pages. Hidden files stay hidden, and nothing outside the folder can be named, nor linked to.
 */
export function staticFolder(directory: AbsolutePath, options: StaticFolderOptions = {}): SocketFetcher {
  const folder = new StaticFolder(directory, options)
  return { handle: (incoming, outgoing, context) => folder.answer(incoming, outgoing, context.raw.target) }
}

/** What answers, and its name in the folder. */
interface Found {
  readonly entry: OpenEntry
  readonly segments: readonly string[]
}

class StaticFolder {
  readonly #files: FolderFiles
  readonly #prefix: string
  /** Segments of its name; undefined has none. */
  readonly #index: readonly string[] | undefined
  readonly #fallback: readonly string[] | undefined
  readonly #precompressed: boolean
  readonly #cacheControl: string

  constructor(directory: AbsolutePath, options: StaticFolderOptions) {
    const { stripPrefix = '/', index = 'index.html', fallback } = options
    this.#files = new FolderFiles(directory)
    this.#prefix = stripPrefix.replace(/\/+$/, '')
    this.#index = index === false ? undefined : index.split('/')
    this.#fallback = fallback?.split('/')
    this.#precompressed = options.precompressed ?? true
    this.#cacheControl = options.cacheControl ?? 'no-cache'
  }

  async answer(incoming: IncomingMessage, outgoing: ServerResponse, target: string): Promise<void> {
    if (incoming.method !== 'GET' && incoming.method !== 'HEAD') {
      answerMethod(incoming, outgoing)
      return
    }
    const path = pathOf(target)
    const inside = path.startsWith(this.#prefix) ? path.slice(this.#prefix.length) : path
    const named = readPath(inside)
    const found = named === undefined ? undefined : await this.#findOrFallBack(named, incoming)
    if (found === undefined) throw new FlexiError('FLEXI_NO_INPUT', `no file answers ${path}`)
    if (found === 'redirect') redirect(path, target, outgoing)
    else await this.#send(found, incoming, outgoing)
  }

  async #findOrFallBack(
    named: NamedFile,
    incoming: IncomingMessage,
  ): Promise<Found | 'redirect' | undefined> {
    const found = await this.#find(named)
    if (found !== undefined || this.#fallback === undefined || !wantsFallback(incoming, named)) return found
    return this.#file(this.#fallback)
  }

  /** A folder is answered by its index, from a path that ends with a slash: its relative links need that. */
  async #find({ segments, isFolder }: NamedFile): Promise<Found | 'redirect' | undefined> {
    const entry = await this.#files.open(segments)
    if (entry === undefined) return undefined
    if (entry.stats.isFile() && !isFolder) return { entry, segments }
    await entry.handle.close()
    if (entry.stats.isFile() || this.#index === undefined) return undefined
    const index = await this.#file([...segments, ...this.#index])
    if (index === undefined || isFolder) return index
    await index.entry.handle.close()
    return 'redirect'
  }

  async #file(segments: readonly string[]): Promise<Found | undefined> {
    const entry = await this.#files.open(segments)
    if (entry === undefined || entry.stats.isFile())
      return entry === undefined ? undefined : { entry, segments }
    await entry.handle.close()
    return undefined
  }

  async #send(
    { entry, segments }: Found,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ): Promise<void> {
    const accepted = incoming.headers['accept-encoding']
    const acceptEncoding = Array.isArray(accepted) ? accepted.join(',') : accepted
    const file = this.#precompressed
      ? await this.#files.choose(segments, entry, acceptEncoding)
      : { ...entry, encoding: undefined }
    const name = segments.at(-1) ?? ''
    const cacheControl = this.#cacheControl
    await answerFile({ incoming, outgoing, file, name, cacheControl, varies: this.#precompressed })
  }
}

/**
 * Who asks for a page gets the application, which has pages of its own; who asks for a script, an image or data that is not there
 * is told so. Browsers say what they want; of other programs, a path with an extension names a file.
 */
function wantsFallback({ headers }: IncomingMessage, { segments }: NamedFile): boolean {
  const { accept = '*/*', 'sec-fetch-dest': destination } = headers
  if (destination !== undefined && !PAGES.has(String(destination))) return false
  if (accept.includes('text/html')) return true
  return destination === undefined && accept.includes('*/*') && extname(segments.at(-1) ?? '') === ''
}

const PAGES = new Set(['document', 'iframe', 'frame'])

function answerMethod({ method }: IncomingMessage, outgoing: ServerResponse): void {
  if (method === 'OPTIONS') outgoing.writeHead(204, ['Allow', 'GET, HEAD, OPTIONS'])
  else outgoing.writeHead(405, ['Allow', 'GET, HEAD, OPTIONS', 'Content-Length', '0'])
  outgoing.end()
}

/** A reference whose path starts with two slashes, or what browsers take for some, would name another host. */
const LEADING_SLASHES = /^[/\\]+/

function redirect(path: string, target: string, outgoing: ServerResponse): void {
  const query = target.indexOf('?')
  const location = `${path.replace(LEADING_SLASHES, '/')}/${query === -1 ? '' : target.slice(query)}`
  outgoing.writeHead(301, ['Location', location, 'Content-Length', '0'])
  outgoing.end()
}
