import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

import { errorMessage } from '../../../core/errors.ts'
import type { MiniflareBindings } from '../miniflare.ts'

/** Something that miniflare says about a running worker. */
export interface Note {
  readonly level: 'info' | 'warn'
  readonly text: string
  /** Whose it is, as far as can be told from bindings. */
  readonly about?: { readonly queue: string } | 'mail' | undefined
}

/** The worker of a runtime that a note is for: the only one that sends mail, the one that consumes the queue; else the first. */
export function noteOwner<T>(
  { about }: Note,
  workers: readonly T[],
  optionsOf: (worker: T) => MiniflareBindings | undefined,
): T | undefined {
  if (about === undefined) return workers[0]
  const concerned = workers.filter((worker) => {
    const options = optionsOf(worker)
    return about === 'mail'
      ? options?.email !== undefined
      : options?.queueConsumers?.[about.queue] !== undefined
  })
  return concerned[0] ?? workers[0]
}

/** As `LogLevel` of miniflare has them. */
const WARN = 2
const INFO = 3

/**
 * What a line of miniflare's log comes to: warnings as they are, what a queue handed on, and mails, whose files are copied to
 * `mailFolder` because miniflare deletes its own; without one nothing is. Undefined for what nobody needs to read.
 */
export async function noteOf(
  { level, message }: { readonly level: number; readonly message: string },
  mailFolder: string | undefined,
): Promise<Note | undefined> {
  const text = stripVTControlCharacters(message)
  if (level <= WARN) return { level: 'warn', text: text.trimEnd() }
  if (level !== INFO) return undefined
  const batch = /^QUEUE (\S+) (\d+)\/(\d+)(?: \((\d+)ms\))?/.exec(text)
  if (batch !== null) return { level: 'info', text: queueNote(batch), about: { queue: batch[1] ?? '' } }
  if (mailFolder === undefined || !text.startsWith('send_email binding called')) return undefined
  return mailNote(text, mailFolder).catch((error: unknown): Note => ({
    level: 'warn',
    text: `a mail could not be kept: ${errorMessage(error)}`,
  }))
}

function queueNote([, queue = '', done = '', all = '', ms]: readonly string[]): string {
  const took = ms === undefined ? '' : ` (${ms} ms)`
  return done === all
    ? `queue ${queue}: ${all} done${took}`
    : `queue ${queue}: ${done} of ${all} done, the rest failed${took}`
}

const EMAIL_PATH = /(?:^|\s)(\/\S+|[A-Za-z]:\\\S+)$/gm

/** `mail from a@b.c to d@e.f, "hello": /project/.flexi/…/email/1.eml` */
async function mailNote(text: string, folder: string): Promise<Note> {
  await mkdir(folder, { recursive: true })
  const files = [...text.matchAll(EMAIL_PATH)].flatMap(([, path]) => path ?? [])
  const kept = files.map(async (path) => {
    const copy = join(folder, basename(path))
    await copyFile(path, copy)
    return copy
  })
  const copies = await Promise.all(kept)
  const [first] = copies
  // A message as the program wrote it carries its own fields; of a built one miniflare tells them.
  const fields = first?.endsWith('.eml') === true ? await readFile(first, 'utf8') : text
  const field = (name: string): string =>
    new RegExp(`^${name}:\\s*(.*)$`, 'im').exec(fields)?.[1]?.trim() ?? '?'
  const head = `mail from ${field('From')} to ${field('To')}, "${field('Subject')}"`
  return { level: 'info', text: copies.length === 0 ? head : `${head}: ${copies.join(', ')}`, about: 'mail' }
}
