import { sep } from 'node:path'

import { FlexiError } from '../core/errors.ts'

/** What a path names inside a folder. */
export interface NamedFile {
  /** Decoded, without empty ones; none is the folder itself. */
  readonly segments: readonly string[]
  /** Ends with a slash, as the paths of folders do. */
  readonly isFolder: boolean
}

/**
 * Reads the part of a path that stands for a file. Nothing above the folder can be named, and nothing hidden, however it is
 * encoded: both are as if they were not there. `/.well-known/` is meant to be seen (RFC 8615).
 * @throws FlexiError FLEXI_BAD_REQUEST for what is no encoding of a name.
 */
export function readPath(path: string): NamedFile | undefined {
  const decoded = decode(path)
  const segments = decoded.split('/').filter((segment) => segment !== '' && segment !== '.')
  if (!segments.every(isVisible)) return undefined
  return { segments, isFolder: /\/\.?$/.test(decoded) }
}

function decode(path: string): string {
  const decoded = path.includes('%') ? unescape(path) : path
  if (decoded?.includes('\0') === false) return decoded
  throw new FlexiError('FLEXI_BAD_REQUEST', `${path} is no path of a file`)
}

function unescape(path: string): string | undefined {
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

/** Windows has a second separator, and `c:` for a third way out. */
function isVisible(segment: string): boolean {
  if (segment.startsWith('.') && segment !== '.well-known') return false
  return sep === '/' || !/[\\:]/.test(segment)
}
