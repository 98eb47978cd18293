import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import type { DaemonClient } from '../daemon/client/client.ts'
import { FlexiError } from '../core/errors.ts'
import { closest } from '../core/suggest.ts'
import { paintFor } from '../terminal/paint.ts'
import { printable } from '../terminal/printable.ts'

/** What every command that asks a daemon takes. */
export const daemonFlags = {
  daemon: Flags.string({
    helpGroup: 'DAEMON',
    helpValue: 'URL',
    summary:
      'The daemon to ask. Default: $FLEXI_DAEMON, else the last login, else the daemon of this machine.',
  }),
  token: Flags.string({
    helpGroup: 'DAEMON',
    helpValue: 'TOKEN',
    summary: 'The token to ask with. Default: $FLEXI_TOKEN, else that of the login.',
  }),
}

export interface DaemonFlags {
  readonly daemon: string | undefined
  readonly token: string | undefined
}

/** Asks a daemon; an unknown function's name is answered with the one that was meant. */
export async function withDaemon<T>(
  flags: DaemonFlags,
  work: (client: DaemonClient) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  hideToken(flags.token)
  const { openSession } = await import('../daemon/client/session.ts')
  const { daemon, token } = flags
  const client = await openSession({ daemon, token, environment: process.env, signal, onWarning: warn })
  return await work(client)
}

/** Asks about one function. */
export async function withFunction<T>(
  flags: DaemonFlags,
  name: string,
  work: (client: DaemonClient) => Promise<T>,
): Promise<T> {
  return await withDaemon(flags, async (client) => {
    try {
      return await work(client)
    } catch (error) {
      throw await withSuggestion(client, name, error)
    }
  })
}

/** The same error with the nearest name there is, unless the daemon knew one itself. */
async function withSuggestion(client: DaemonClient, name: string, error: unknown): Promise<unknown> {
  if (!(error instanceof FlexiError) || error.code !== 'FLEXI_FUNCTION_UNKNOWN') return error
  if (error.hint !== undefined) return error
  // Who may not list functions still sees what went wrong.
  const functions = await client.functions().catch(() => [])
  const found = functions.find((one) => one.name === name)
  const near =
    found === undefined
      ? closest(
          name,
          functions.map((one) => one.name),
        )
      : undefined
  return new FlexiError(error.code, error.message, {
    cause: error,
    hint: hintFor({ name, near, known: found !== undefined }),
  })
}

/** Variables may be set before their function is deployed; a name that is misspelt looks the same. */
export async function warnOfUnknown(client: DaemonClient, name: string): Promise<void> {
  // Who may not list functions is not told.
  const functions = await client.functions().catch(() => undefined)
  if (functions === undefined || functions.some((one) => one.name === name)) return
  const near = closest(
    name,
    functions.map((one) => one.name),
  )
  const meant = near === undefined ? '' : `; did you mean ${near}?`
  warn(`${name} is not deployed yet: this counts from its first deployment on${meant}`)
}

function hintFor({ name, near, known }: { name: string; near: string | undefined; known: boolean }): string {
  if (known) return `Run "flexi versions ${name}" for its versions and aliases.`
  return near === undefined ? 'Run "flexi functions list" for those there are.' : `Did you mean "${near}"?`
}

/** Arguments of a process are read by every user of the machine; they are overwritten as early as can be. */
export function hideToken(token: string | undefined): void {
  if (token !== undefined) process.title = 'flexi'
}

/** A line for people on stderr; what was said beside a result must not be in it. */
export function warn(message: string): void {
  const paint = paintFor(process.stderr, process.env)
  process.stderr.write(`${paint.yellow('!')} ${printable(message)}\n`)
}

/** `hello` or `hello@v3`. @throws FlexiError FLEXI_USAGE. */
export function parseReference(text: string): {
  readonly name: string
  readonly version: string | undefined
} {
  const [name = '', version, ...more] = text.split('@')
  if (name !== '' && version !== '' && more.length === 0) return { name, version }
  throw new FlexiError('FLEXI_USAGE', `${JSON.stringify(text)} names no function`, {
    hint: 'Write NAME, or NAME@VERSION.',
  })
}

/** The name of a function where no version is meant. @throws FlexiError FLEXI_USAGE. */
export function functionName(text: string): string {
  const { name, version } = parseReference(text)
  if (version === undefined) return name
  throw new FlexiError('FLEXI_USAGE', `${JSON.stringify(text)} names a version`, {
    hint: `Write the function alone: ${name}.`,
  })
}

/** What a command takes that is about a function, whichever version serves. */
export const functionArg = Args.string({
  ignoreStdin: true,
  required: true,
  description: 'name of the function',
  parse: (text) => Promise.resolve(functionName(text)),
})

export const yesFlag = Flags.boolean({ char: 'y', default: false, summary: 'Ask nothing.' })
