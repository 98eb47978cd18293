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

/** @throws FlexiError FLEXI_DAEMON when none runs there. */
export async function runningDaemon(directory: AbsolutePath): Promise<DaemonNote> {
  const note = await readNote(placeOf(directory).note)
  if (note !== undefined) return note
  throw new FlexiError('FLEXI_DAEMON', `no daemon runs on ${directory}`, {
    hint: 'Start one with "flexi daemon start", or name its folder with --data-dir.',
  })
}
