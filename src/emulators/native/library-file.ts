import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, open, rm, stat, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { FlexiError } from '../../core/errors.ts'
import type { AbsolutePath, Revision } from '../../core/place.ts'
import { inspectBinary } from './binary.ts'

/** A copy of a library that nobody writes to any more: overwriting a mapped file would kill the process that maps it. */
export interface LibraryCopy {
  readonly path: AbsolutePath
  readonly revision: Revision
  /** What the original looked like: equal looks need no second copy. */
  readonly look: string
}

/** Time between the two looks that must agree. */
const LOOK_MS = 4
/** A file that has not changed for so long was not being written. */
const SETTLED_MS = 500
/** How long a missing or incomplete file may stand still before it counts as finished: linkers pause. */
const QUIET_MS = 1_000
/** The longest wait for a file that keeps changing. */
const WAIT_MS_MAX = 30_000

export interface TakeOptions {
  /** Where the copy goes; the caller's to remove. */
  readonly target: AbsolutePath
  /** False when there is no reason to think that it will come. */
  readonly awaited: boolean
  /** What to do when it is not there. */
  readonly hint: string
}

/**
 * Copies the library once it is whole.
 * @throws FlexiError FLEXI_BUILD when it is missing, stays truncated, is for another machine or lacks `handle_request`.
 */
export async function takeLibrary(library: AbsolutePath, options: TakeOptions): Promise<LibraryCopy> {
  const patience = createPatience(options.awaited)
  let last: string | undefined
  let refusal = missing(library, options)
  for (;;) {
    const now = await lookAt(library)
    if (now === undefined) refusal = missing(library, options)
    // What was refused stays so until it changes.
    else if (now !== last || refusal.unsettled === true) {
      const result = await tryTake(library, options.target)
      if ('path' in result) return result
      refusal = result
    }
    if (refusal.final === true || patience.isOver(now)) throw refusal.error
    last = now
    await wait(LOOK_MS)
  }
}

/**
 * The same of a library that nobody writes to where it lies: no copy is made.
 * @throws FlexiError FLEXI_BUILD when it is missing, for another machine or lacks `handle_request`.
 */
export async function takeInPlace(library: AbsolutePath): Promise<LibraryCopy> {
  const look = await lookAt(library)
  if (look === undefined) throw missing(library, { hint: 'Deploy it again.' }).error
  const refusal = await refuse(library, library)
  if (refusal !== undefined) throw refusal.error
  return { path: library, revision: await hashFile(library), look }
}

/** Says when a file has stood still, or been worked on, for too long. */
function createPatience(awaited: boolean): { isOver(look: string | undefined): boolean } {
  const startedAt = performance.now()
  let changedAt = startedAt
  let last: string | undefined
  return {
    isOver(look) {
      const now = performance.now()
      if (look !== last) changedAt = now
      last = look
      if (look === undefined && !awaited) return true
      return now - changedAt > QUIET_MS || now - startedAt > WAIT_MS_MAX
    },
  }
}

/** Size, time and identity of a file as text; undefined when there is none. */
export async function lookAt(path: string): Promise<string | undefined> {
  try {
    const { size, mtimeNs, ctimeNs, ino } = await stat(path, { bigint: true })
    return `${size}:${mtimeNs}:${ctimeNs}:${ino}`
  } catch {
    return undefined
  }
}

interface Refusal {
  /** It changed while we looked, and may be good already. */
  readonly unsettled?: boolean
  readonly error: FlexiError
  /** Waiting cannot mend it. */
  readonly final?: boolean
}

function missing(library: string, { hint }: Pick<TakeOptions, 'hint'>): Refusal {
  return { error: new FlexiError('FLEXI_BUILD', `there is no library ${library}`, { hint }) }
}

async function tryTake(library: AbsolutePath, target: AbsolutePath): Promise<LibraryCopy | Refusal> {
  const before = await lookAt(library)
  const changed = Number(before?.split(':')[1] ?? 0) / 1e6
  if (Date.now() - changed < SETTLED_MS) await wait(LOOK_MS)
  const unsettled = { error: new FlexiError('FLEXI_BUILD', `${library} keeps changing`), unsettled: true }
  if (before === undefined || before !== (await lookAt(library))) return unsettled
  try {
    await copyFile(library, target, constants.COPYFILE_FICLONE)
  } catch (error) {
    const hint = { hint: 'Make it a file that flexi may read.', cause: error }
    return { error: new FlexiError('FLEXI_BUILD', `${library} cannot be copied`, hint), final: true }
  }
  const refusal = before === (await lookAt(library)) ? await refuse(library, target) : unsettled
  if (refusal === undefined) return { path: target, revision: await hashFile(target), look: before }
  await rm(target, { force: true })
  return refusal
}

/** Why the copy cannot be loaded; undefined when nothing speaks against it. */
async function refuse(library: string, copy: string): Promise<Refusal | undefined> {
  await using file = await opened(copy)
  const { size } = await file.handle.stat()
  const binary = await inspectBinary(file.handle, size)
  switch (binary.kind) {
    case 'incomplete':
      return {
        error: new FlexiError('FLEXI_BUILD', `${library} is truncated: ${binary.missing} missing`, {
          hint: 'Build it again.',
        }),
      }
    case 'foreign':
      return {
        error: new FlexiError('FLEXI_BUILD', `${library}: ${binary.message}`, { hint: binary.hint }),
        final: true,
      }
    case 'library':
      if (binary.exports === undefined || binary.exports.includes('handle_request')) return undefined
      return { error: lacksHandler(library, binary.exports), final: true }
  }
}

/** Names of these are the compiler's own, and no help to anyone. */
const COMPILER_MADE = /^(_init|_fini|__|_ITM|_edata|_end$|__bss|_R|_ZN|rust_)/

function lacksHandler(library: string, exports: readonly string[]): FlexiError {
  const names = exports.filter((name) => !COMPILER_MADE.test(name))
  const shown = names.slice(0, 10).join(', ') + (names.length > 10 ? ` and ${names.length - 10} more` : '')
  const mangled = exports.some((name) => /^_(ZN?\d*|R).*handle_request/.test(name))
  const hint = mangled
    ? 'Declare it extern "C" (C++), #[no_mangle] (Rust) or export (Zig): its name is mangled.'
    : 'Define "Response *handle_request(Request *)", visible outside the library; see flexi.h.'
  return new FlexiError(
    'FLEXI_BUILD',
    `${basename(library)} does not export handle_request; it exports ${shown === '' ? 'nothing' : shown}`,
    { hint },
  )
}

async function hashFile(path: string): Promise<Revision> {
  await using file = await opened(path)
  const hash = createHash('sha256')
  for await (const chunk of file.handle.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 }))
    hash.update(chunk as Buffer)
  return hash.digest('hex').slice(0, 16) as Revision
}

async function opened(path: string): Promise<AsyncDisposable & { readonly handle: FileHandle }> {
  const handle = await open(path, 'r')
  return { handle, [Symbol.asyncDispose]: () => handle.close() }
}
