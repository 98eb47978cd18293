import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'

import * as Flags from '@oclif/core/flags'

import { FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'
import { readNote, type DaemonNote } from '../daemon/note.ts'
import { defaultDirectory, placeOf } from '../daemon/place.ts'

/** What every command takes that is about the daemon of this machine. */
export const dataDirectoryFlag = {
  'data-dir': Flags.string({
    helpValue: 'DIR',
    summary:
      'Everything the daemon keeps. Default: $FLEXI_DATA_DIR, else /var/lib/flexi for root and your own data folder for others.',
  }),
}

export function dataDirectoryOf(flags: { readonly 'data-dir'?: string | undefined }): AbsolutePath {
  return resolve(flags['data-dir'] ?? defaultDirectory(process.env)) as AbsolutePath
}

/** Makes a folder of the daemon's. @throws FlexiError FLEXI_USAGE where this user cannot make it. */
export function makeFolder(directory: AbsolutePath, mode: number): void {
  writeIn(directory, () => mkdirSync(directory, { recursive: true, mode }))
}

/** What is done in a folder of the daemon's. @throws FlexiError FLEXI_USAGE where this user cannot do it. */
export function writeIn<T>(directory: AbsolutePath, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const reason = NO_FOLDER[code]
    if (reason === undefined) throw error
    throw new FlexiError('FLEXI_USAGE', `the daemon cannot keep anything in ${directory}: ${reason}`, {
      cause: error,
      hint: 'Name a folder that you may write in with --data-dir.',
    })
  }
}

const NO_FOLDER: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a file is in the way',
  EEXIST: 'a file is in the way',
  ENOSPC: 'the disk is full',
}

/** @throws FlexiError FLEXI_DAEMON when none runs there. */
export async function runningDaemon(directory: AbsolutePath): Promise<DaemonNote> {
  const note = await readNote(placeOf(directory).note)
  if (note !== undefined) return note
  throw new FlexiError('FLEXI_DAEMON', `no daemon runs on ${directory}`, {
    hint: 'Start one with "flexi daemon start", or name its folder with --data-dir.',
  })
}
