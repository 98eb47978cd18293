import { open, stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'

import { ExitError } from '@oclif/core/errors'
import * as Flags from '@oclif/core/flags'

import type { WorkerState } from '../app/worker-state.ts'
import { FlexiError } from '../core/errors.ts'
import { optionalFile, projectDirectory, projectFlags } from './options.ts'

/** What every command about stored data takes. */
export const stateFlags = {
  ...projectFlags,
  dir: Flags.string({ char: 'C', default: '.', helpValue: 'DIR', summary: 'Folder of the project.' }),
  function: Flags.string({
    helpValue: 'NAME',
    summary: 'The worker whose bindings are meant, where several have one of this name.',
  }),
  env: Flags.string({
    char: 'e',
    helpValue: 'NAME',
    summary: 'Environment of the wrangler file. Default: the one "flexi dev" runs with.',
  }),
  // wrangler's, so that its scripts run: there is only local state, and nothing is asked.
  local: Flags.boolean({ hidden: true }),
  remote: Flags.boolean({ hidden: true }),
  yes: Flags.boolean({ char: 'y', hidden: true }),
}

export interface StateFlags {
  readonly dir: string
  readonly config: string | undefined
  readonly function: string | undefined
  readonly env: string | undefined
  readonly remote: boolean
}

/** Opens the project's stored data for as long as `work` takes. */
export async function withState<T>(flags: StateFlags, work: (state: WorkerState) => Promise<T>): Promise<T> {
  if (flags.remote)
    throw new FlexiError('FLEXI_USAGE', 'flexi knows local state only, and no account', {
      hint: 'Leave --remote out, or use wrangler for what is deployed.',
    })
  const { openWorkerState } = await import('../app/worker-state.ts')
  await using state = await openWorkerState({
    directory: projectDirectory(flags.dir),
    configFile: optionalFile(flags.config),
    environment: process.env,
    function: flags.function,
    env: flags.env,
  })
  return await work(state)
}

export interface InputOptions {
  /** What was written as an argument. */
  readonly text?: string | undefined
  readonly file?: string | undefined
  /** Standard input although it is a terminal. */
  readonly pipe?: boolean | undefined
  /** The ways to give it, for the hint. */
  readonly ways: string
}

export interface Input {
  readonly content: Uint8Array | Readable
  /** Undefined for standard input. */
  readonly bytes: number | undefined
}

/** An argument, a file or standard input. @throws FlexiError FLEXI_USAGE when there is none, or two; FLEXI_NO_INPUT. */
export async function inputOf({ text, file, pipe = false, ways }: InputOptions): Promise<Input> {
  if ([text !== undefined, file !== undefined, pipe].filter(Boolean).length > 1)
    throw new FlexiError('FLEXI_USAGE', 'there is more than one value', { hint: ways })
  if (text !== undefined) {
    const content = Buffer.from(text)
    return { content, bytes: content.byteLength }
  }
  if (file !== undefined) return fileInput(file)
  if (process.stdin.isTTY && !pipe) throw new FlexiError('FLEXI_USAGE', 'there is no value', { hint: ways })
  return { content: process.stdin, bytes: undefined }
}

async function fileInput(file: string): Promise<Input> {
  const found = await stat(file).catch(() => undefined)
  if (found?.isFile() !== true) throw new FlexiError('FLEXI_NO_INPUT', `there is no file ${file}`)
  // Opened here: a stream would tell that it cannot be read when nobody listens yet.
  const handle = await open(file).catch((cause: unknown) => {
    throw new FlexiError('FLEXI_NO_INPUT', `${file} cannot be read`, { cause })
  })
  return { content: handle.createReadStream(), bytes: found.size }
}

export async function bytesOf({ content }: Pick<Input, 'content'>): Promise<Buffer> {
  if (content instanceof Uint8Array) return Buffer.from(content)
  return (await import('node:stream/consumers')).buffer(content)
}

/** Bytes as they are to standard output, which stays open. */
export async function printBytes(body: Readable): Promise<void> {
  const { pipeline } = await import('node:stream/promises')
  try {
    await pipeline(body, process.stdout, { end: false })
  } catch (error) {
    // Who reads, `head` say, has had enough; nothing that is written from now on would ever be flushed.
    throw error instanceof Error && 'code' in error && error.code === 'EPIPE' ? new ExitError(0) : error
  }
}

/** What `--json` shows of bytes. */
export function jsonBytes(bytes: Buffer): { value: string } | { value: string; base64: true } {
  try {
    return { value: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) }
  } catch {
    return { value: bytes.toString('base64'), base64: true }
  }
}

/** @throws FlexiError FLEXI_USAGE with what is wrong with the text. */
export function jsonFlag(flag: string, text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FlexiError('FLEXI_USAGE', `--${flag} ${text} is no JSON`, {
      hint: `Quote it for the shell: --${flag} '{"a":1}'.`,
      cause,
    })
  }
}
