import { once } from 'node:events'
import type { Readable } from 'node:stream'

import type { Parser, ReadEntry } from 'tar'

import { FlexiError, errorMessage } from '../../core/errors.ts'
import { ArchiveIndex, refused, type ArchiveEntry } from './archive-index.ts'
import { inflated, type InflateOptions } from './inflate.ts'
import { TargetFolder } from './target-folder.ts'

/**
 * Unpacks tar or tar.gz into a folder that is there, empty and ours alone; on the disk when it resolves. Files are readable by everybody,
 * writable by nobody, and have neither an owner nor special bits of the archive.
 * @throws FlexiError FLEXI_UPLOAD for an archive that is wrong, FLEXI_QUOTA for a full disk; the folder then holds whatever came until then.
 */
export async function unpackArchive(
  archive: Readable,
  target: string,
  options: InflateOptions,
): Promise<void> {
  const index = new ArchiveIndex(options.limits)
  const folder = new TargetFolder(target)
  const parser = await parserInto(folder, index)
  let ended = false
  // After the last entry; an archive without any has no other end.
  const finished = Promise.race([once(parser, 'eof'), once(parser, 'end')])
  finished.catch(() => undefined)
  parser.on('eof', () => (ended = true))
  const failed = new Promise<never>((_, reject) => {
    parser.on('error', (error: unknown) => reject(asRefusal(error)))
    folder.onFailure(reject)
  })
  failed.catch(() => undefined)
  try {
    for await (const chunk of inflated(archive, options)) {
      // What follows the end of an archive is counted, and belongs to nobody.
      if (!ended && !parser.write(chunk)) await Promise.race([failed, once(parser, 'drain')])
      await Promise.race([failed, folder.breath()])
    }
    if (!ended) parser.end()
    await Promise.race([failed, finished])
    await Promise.race([failed, folder.settled()])
    index.close()
    await folder.finish()
  } catch (error) {
    await folder.abandon(error)
    throw asRefusal(error)
  } finally {
    archive.destroy()
  }
}

async function parserInto(folder: TargetFolder, index: ArchiveIndex): Promise<Parser> {
  const tar = await import('tar')
  const parser = new tar.Parser({
    strict: true,
    onReadEntry(entry) {
      try {
        folder.take(entry, index.add(entryOf(entry)))
      } catch (error) {
        // Whoever reads the entry before would get it otherwise.
        parser.emit('error', error)
        entry.resume()
      }
    },
  })
  parser.on('ignoredEntry', (entry: ReadEntry) =>
    parser.emit('error', new Error(`${entry.type} of ${entry.size} bytes`)),
  )
  return parser
}

function asRefusal(error: unknown): Error {
  if (error instanceof FlexiError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new FlexiError('FLEXI_QUOTA', 'the disk is full', { hint: 'Free some room.', cause: error })
  if (/^E[A-Z]+$/.test(code))
    return new FlexiError('FLEXI_DAEMON', `the archive cannot be unpacked: ${errorMessage(error)}`, {
      cause: error,
    })
  return refused(`this is no tar or tar.gz that can be read: ${errorMessage(error)}`, error)
}

/** Everything else is a device, a pipe, or of another age. */
const KINDS: Readonly<Record<string, ArchiveEntry['kind']>> = {
  File: 'file',
  OldFile: 'file',
  ContiguousFile: 'file',
  Directory: 'folder',
  SymbolicLink: 'link',
  Link: 'hard link',
}

function entryOf(entry: ReadEntry): ArchiveEntry {
  const { path, type, linkpath: target = '' } = entry
  const kind = KINDS[type]
  if (kind === undefined) throw refused(`${path} is neither a file, a folder nor a link (${type})`)
  if (kind === 'folder') return { kind, path }
  if (kind !== 'file') return { kind, path, target }
  return { kind, path, bytes: entry.size, executable: ((entry.mode ?? 0) & 0o111) !== 0 }
}
