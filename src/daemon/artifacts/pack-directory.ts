import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'

import type * as Tar from 'tar'

import type { Digest } from '../model.ts'
import { ArchiveIndex, refused, type ArchiveEntry } from './archive-index.ts'
import { ARCHIVE_LIMITS } from './limits.ts'

/** A tar's unit; files are filled up to it. */
const BLOCK = 512
/** Where gzip's header names the system it was made on. Source: RFC 1952, 2.3. */
const GZIP_SYSTEM = 9
const UNKNOWN_SYSTEM = 255

/**
 * Packs what is in a folder as a tar.gz whose bytes depend on names, contents and executable bits alone: not on times, owners, the umask, or
 * the order in which a file system lists them.
 * @throws FlexiError FLEXI_UPLOAD for what a daemon would refuse: links out of the folder, sockets, names that differ by case alone.
 */
export async function packDirectory(
  directory: string,
  file: string,
): Promise<{ readonly digest: Digest; readonly bytes: number }> {
  const tar = await import('tar')
  const entries = await entriesOf(directory)
  const hash = createHash('sha256')
  let bytes = 0
  await pipeline(
    Readable.from(tarOf(tar, directory, entries)),
    createGzip({ level: 6 }),
    async function* (packed: AsyncIterable<Buffer>) {
      for await (const chunk of packed) {
        if (bytes <= GZIP_SYSTEM && bytes + chunk.length > GZIP_SYSTEM)
          chunk[GZIP_SYSTEM - bytes] = UNKNOWN_SYSTEM
        bytes += chunk.length
        hash.update(chunk)
        yield chunk
      }
    },
    createWriteStream(file, { mode: 0o600 }),
  )
  return { digest: hash.digest('hex') as Digest, bytes }
}

async function entriesOf(directory: string): Promise<readonly ArchiveEntry[]> {
  const index = new ArchiveIndex(ARCHIVE_LIMITS)
  const entries: ArchiveEntry[] = []
  for (const path of await pathsIn(directory, '')) {
    const entry = index.add(await entryAt(directory, path))
    if (entry !== undefined) entries.push(entry)
  }
  index.close()
  return entries
}

/** Folders before what is in them, otherwise by code unit: no language has a say. */
async function pathsIn(directory: string, below: string): Promise<readonly string[]> {
  const listed = await readdir(join(directory, below), { withFileTypes: true })
  listed.sort((a, b) => (a.name < b.name ? -1 : 1))
  const paths: string[] = []
  for (const entry of listed) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    paths.push(path)
    if (entry.isDirectory()) paths.push(...(await pathsIn(directory, path)))
  }
  return paths
}

async function entryAt(directory: string, path: string): Promise<ArchiveEntry> {
  const found = await lstat(join(directory, path))
  if (found.isDirectory()) return { kind: 'folder', path }
  if (found.isFile()) return { kind: 'file', path, bytes: found.size, executable: (found.mode & 0o111) !== 0 }
  if (found.isSymbolicLink()) return { kind: 'link', path, target: await readlink(join(directory, path)) }
  throw refused(`${join(directory, path)} is neither a file, a folder nor a link, and cannot be packed`)
}

async function* tarOf(
  tar: typeof Tar,
  directory: string,
  entries: readonly ArchiveEntry[],
): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    yield headOf(tar, entry)
    if (entry.kind === 'file') yield* contentOf(join(directory, entry.path), entry.bytes)
  }
  yield Buffer.alloc(2 * BLOCK)
}

function headOf(tar: typeof Tar, entry: ArchiveEntry): Buffer {
  const data = {
    path: entry.kind === 'folder' ? `${entry.path}/` : entry.path,
    mode: modeOf(entry),
    uid: 0,
    gid: 0,
    size: entry.kind === 'file' ? entry.bytes : 0,
    mtime: new Date(0),
    type: ({ file: 'File', folder: 'Directory', link: 'SymbolicLink', 'hard link': 'Link' } as const)[
      entry.kind
    ],
    ...('target' in entry ? { linkpath: entry.target } : {}),
  } satisfies Tar.HeaderData
  const header = new tar.Header(data)
  const head = Buffer.alloc(BLOCK)
  return header.encode(head) ? Buffer.concat([new tar.Pax(data).encode(), head]) : head
}

function modeOf(entry: ArchiveEntry): number {
  if (entry.kind === 'file') return entry.executable ? 0o755 : 0o644
  return entry.kind === 'folder' ? 0o755 : 0o777
}

async function* contentOf(file: string, bytes: number): AsyncGenerator<Buffer> {
  let read = 0
  for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 })) {
    read += (chunk as Buffer).length
    if (read <= bytes) yield chunk as Buffer
  }
  if (read !== bytes) throw refused(`${file} changed while it was packed`)
  if (bytes % BLOCK !== 0) yield Buffer.alloc(BLOCK - (bytes % BLOCK))
}
