import { FlexiError } from '../../core/errors.ts'
import type { ArchiveLimits } from './limits.ts'

/** What an archive of ours may hold. Hard links are files that are there under another name too. */
export type ArchiveEntry =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly bytes: number; readonly executable: boolean }
  | { readonly kind: 'link' | 'hard link'; readonly path: string; readonly target: string }

interface Known {
  /** As it is written: `Readme.md`. */
  readonly path: string
  readonly folder: boolean
}

const NAME_BYTES_MAX = 255
/** Linux's own limit. */
const HOPS_MAX = 40
// oxlint-disable-next-line no-control-regex
const ODD = /[\u0000-\u001f\u007f\\\ufffd]/

/**
 * The names in an archive, checked as they come, whoever wrote it. No path leads out, none goes through a link, none is there twice, also
 * not in another case: an archive means the same on every file system.
 */
export class ArchiveIndex {
  /** By what a file system that ignores case takes for the name. */
  readonly #known = new Map<string, Known>()
  readonly #files = new Set<string>()
  readonly #links = new Map<string, string>()
  readonly #limits: ArchiveLimits
  #entries = 0
  #bytes = 0

  constructor(limits: ArchiveLimits) {
    this.#limits = limits
  }

  /**
   * The entry with its path in its only form, `src/index.js`; undefined for the root folder itself.
   * @throws FlexiError FLEXI_UPLOAD with what is wrong.
   */
  add(entry: ArchiveEntry): ArchiveEntry | undefined {
    if (++this.#entries > this.#limits.entriesMax)
      throw refused(`the archive has more than ${this.#limits.entriesMax} entries`)
    const segments = this.#segments(entry.path)
    const path = segments.join('/')
    if (path === '') {
      if (entry.kind === 'folder') return undefined
      throw refused('the archive is a single entry without a name')
    }
    for (let depth = 1; depth < segments.length; depth++)
      this.#learn(segments.slice(0, depth).join('/'), 'parent')
    this.#learn(path, entry.kind === 'folder' ? 'folder' : 'leaf')
    this.#count(entry, path)
    return { ...entry, path }
  }

  /** Once all are known, because a link may lead over other links. @throws FlexiError FLEXI_UPLOAD. */
  close(): void {
    for (const [path, target] of this.#links)
      if (!this.#staysInside(path, target))
        throw refused(`the link ${path} leads out of the archive, to ${target}`)
  }

  #segments(path: string): readonly string[] {
    if (ODD.test(path)) throw refused(`${JSON.stringify(path)} is no name that every system can have`)
    if (path.startsWith('/') || /^[a-z]:\//i.test(path)) throw refused(`${path} leads out of the archive`)
    if (Buffer.byteLength(path) > this.#limits.pathBytesMax)
      throw refused(`a path is longer than ${this.#limits.pathBytesMax} bytes: ${path.slice(0, 100)}…`)
    const segments = path.split('/').filter((segment) => segment !== '' && segment !== '.')
    if (segments.includes('..')) throw refused(`${path} leads out of the archive`)
    if (segments.length > this.#limits.depthMax)
      throw refused(`${path} is more than ${this.#limits.depthMax} folders deep`)
    const long = segments.find((segment) => Buffer.byteLength(segment) > NAME_BYTES_MAX)
    if (long !== undefined)
      throw refused(`a name is longer than ${NAME_BYTES_MAX} bytes: ${long.slice(0, 100)}…`)
    return segments
  }

  #learn(path: string, as: 'parent' | 'folder' | 'leaf'): void {
    const key = path.normalize('NFC').toLowerCase()
    const known = this.#known.get(key)
    if (known === undefined) {
      this.#known.set(key, { path, folder: as !== 'leaf' })
      return
    }
    if (known.path !== path) throw refused(`${known.path} and ${path} differ by case alone`)
    if (as === 'leaf') throw refused(`${path} is in the archive twice`)
    if (!known.folder) throw refused(`${path} is no folder, and there are entries below it`)
  }

  #count(entry: ArchiveEntry, path: string): void {
    switch (entry.kind) {
      case 'folder':
        return
      case 'file':
        this.#files.add(path)
        this.#bytes += entry.bytes
        if (this.#bytes > this.#limits.unpackedBytesMax)
          throw refused(`the archive holds more than ${this.#limits.unpackedBytesMax} bytes`)
        return
      case 'link':
        if (entry.target.startsWith('/') || ODD.test(entry.target))
          throw refused(`the link ${path} leads out of the archive, to ${entry.target}`)
        if (Buffer.byteLength(entry.target) > this.#limits.pathBytesMax)
          throw refused(`the link ${path} is longer than ${this.#limits.pathBytesMax} bytes`)
        this.#links.set(path, entry.target)
        return
      case 'hard link':
        // Only what is in the archive itself, and before it: anything else would be a file of this machine.
        if (!this.#files.has(this.#segments(entry.target).join('/')))
          throw refused(
            `${path} is a hard link to ${entry.target}, which is no file before it in the archive`,
          )
        this.#files.add(path)
    }
  }

  /** Goes the way a system would go, link by link: `a/../../x` depends on where `a` leads. */
  #staysInside(path: string, target: string): boolean {
    const at = path.split('/').slice(0, -1)
    const ahead = target.split('/').reverse()
    let hops = 0
    for (let part = ahead.pop(); part !== undefined; part = ahead.pop()) {
      if (part === '' || part === '.') continue
      if (part === '..') {
        if (at.pop() === undefined) return false
        continue
      }
      at.push(part)
      const next = this.#links.get(at.join('/'))
      if (next === undefined) continue
      if (++hops > HOPS_MAX) return false
      at.pop()
      ahead.push(...next.split('/').reverse())
    }
    return true
  }
}

export function refused(message: string, cause?: unknown): FlexiError {
  return new FlexiError('FLEXI_UPLOAD', message, { cause })
}
