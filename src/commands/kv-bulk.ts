import { readFile } from 'node:fs/promises'

import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import type { KvEntry } from '../app/worker-state.ts'
import { configError, FlexiError } from '../core/errors.ts'
import { placeAt, type Fault } from '../core/place.ts'
import { FlexiCommand } from './flexi-command.ts'
import { namespaceFlags, wantedNamespace } from './kv.ts'
import { withState } from './state-options.ts'

const fileArg = Args.string({ ignoreStdin: true, required: true, description: 'a JSON file' })

export class KvBulkPut extends FlexiCommand {
  static override readonly summary = 'Write all entries of a JSON file.'
  static override readonly description = `The file is a list: [{ "key": "a", "value": "1" }, …]. An entry may have "expiration", "expiration_ttl" and "metadata", and "base64": true for a value that is no text.`
  static override readonly examples = [
    { description: 'From a file', command: '<%= config.bin %> kv bulk put entries.json' },
  ]
  static override readonly args = { file: fileArg }
  static override readonly flags = namespaceFlags

  async run(): Promise<{ readonly count: number }> {
    const { args, flags } = await this.parse(KvBulkPut)
    const entries = await readList(args.file, entryProblem)
    const unread = unreadNames(entries)
    if (unread.length > 0) this.logToStderr(`⚠ ${args.file}: nobody reads ${unread.join(', ')} of an entry`)
    const { kvNamespace } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const namespace = kvNamespace(await state.find('kv', wantedNamespace(flags)))
      await namespace.putAll(entries as readonly KvEntry[])
      this.print([`written: ${countOf(entries)}`])
      return { count: entries.length }
    })
  }
}

/** Text, null for a key that is not there, `{ base64 }` for what is no text. */
type BulkValues = Readonly<Record<string, string | null | { readonly base64: string }>>

export class KvBulkGet extends FlexiCommand {
  static override readonly summary = 'Print the values of all keys in a JSON file.'
  static override readonly description = `The file is a list of keys: ["a", "b"], or of entries with "name" or "key". What is printed is JSON: null stands for a key that is not there, { "base64": … } for bytes that are no text.`
  static override readonly examples = [
    { description: 'Several at once', command: '<%= config.bin %> kv bulk get keys.json' },
  ]
  static override readonly args = { file: fileArg }
  static override readonly flags = namespaceFlags

  async run(): Promise<BulkValues> {
    const { args, flags } = await this.parse(KvBulkGet)
    const keys = (await readList(args.file, keyProblem)).map(keyOf)
    const { kvNamespace } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const namespace = kvNamespace(await state.find('kv', wantedNamespace(flags)))
      const found = await namespace.getAll(keys)
      const values = Object.fromEntries(
        found.map(({ key, value, base64 }) => [
          key,
          value !== null && base64 === true ? { base64: value } : value,
        ]),
      )
      this.print([JSON.stringify(values, null, 2)])
      return values
    })
  }
}

export class KvBulkDelete extends FlexiCommand {
  static override readonly summary = 'Delete all keys in a JSON file.'
  static override readonly description = `The file is a list of keys: ["a", "b"], or of entries with "name" or "key", as "kv list --json" prints it.`
  static override readonly examples = [
    {
      description: 'Everything',
      command: '<%= config.bin %> kv list --json > all.json && <%= config.bin %> kv bulk delete all.json',
    },
  ]
  static override readonly args = { file: fileArg }
  // wrangler asks before it deletes, unless it is given this.
  static override readonly flags = { ...namespaceFlags, force: Flags.boolean({ char: 'f', hidden: true }) }

  async run(): Promise<{ readonly count: number }> {
    const { args, flags } = await this.parse(KvBulkDelete)
    const keys = (await readList(args.file, keyProblem)).map(keyOf)
    const { kvNamespace } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      await kvNamespace(await state.find('kv', wantedNamespace(flags))).deleteAll(keys)
      this.print([`deleted: ${countOf(keys)}`])
      return { count: keys.length }
    })
  }
}

const countOf = (list: readonly unknown[]): string => (list.length === 1 ? '1 key' : `${list.length} keys`)

/** @throws FlexiError FLEXI_NO_INPUT, FLEXI_CONFIG with the place of every item that is at fault. */
async function readList(
  file: string,
  problemOf: (item: unknown) => string | undefined,
): Promise<readonly unknown[]> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new FlexiError('FLEXI_NO_INPUT', `there is no file ${file}`, { cause })
  })
  // Only a file at fault is worth a parser that knows places.
  const list = parsed(text)
  if (Array.isArray(list) && list.every((item) => problemOf(item) === undefined)) return list
  throw configError(await faultsOf({ file, text, problemOf }))
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

interface Faulty {
  readonly file: string
  readonly text: string
  readonly problemOf: (item: unknown) => string | undefined
}

async function faultsOf({ file, text, problemOf }: Faulty): Promise<readonly Fault[]> {
  const { getNodeValue, parseTree, printParseErrorCode } = await import('jsonc-parser')
  const errors: { error: number; offset: number; length: number }[] = []
  const tree = parseTree(text, errors, { disallowComments: true })
  const [error] = errors
  if (error !== undefined)
    return [{ ...placeAt(file, text, error.offset), message: `no JSON: ${printParseErrorCode(error.error)}` }]
  if (tree?.type !== 'array')
    return [{ ...placeAt(file, text, 0), message: 'the file must be a list: [ … ]' }]
  return (tree.children ?? []).flatMap((node) => {
    const message = problemOf(getNodeValue(node))
    return message === undefined ? [] : [{ ...placeAt(file, text, node.offset), message }]
  })
}

function keyProblem(item: unknown): string | undefined {
  return typeof item === 'string' || typeof nameIn(item) === 'string'
    ? undefined
    : 'a key must be a string, or an entry with "name"'
}

function keyOf(item: unknown): string {
  return typeof item === 'string' ? item : String(nameIn(item))
}

function nameIn(item: unknown): unknown {
  if (typeof item !== 'object' || item === null) return undefined
  const { name, key } = item as { readonly name?: unknown; readonly key?: unknown }
  return name ?? key
}

const ENTRY = {
  key: 'string',
  value: 'string',
  base64: 'boolean',
  expiration: 'number',
  expiration_ttl: 'number',
} as const

function unreadNames(entries: readonly unknown[]): string[] {
  const names = new Set(entries.flatMap((entry) => Object.keys(Object(entry) as object)))
  return [...names].filter((name) => !(name in ENTRY) && name !== 'metadata').map((name) => `"${name}"`)
}

function entryProblem(item: unknown): string | undefined {
  if (typeof item !== 'object' || item === null) return 'an entry must be { "key": …, "value": … }'
  for (const [name, type] of Object.entries(ENTRY)) {
    const value: unknown = (item as Readonly<Record<string, unknown>>)[name]
    const isMissing = value === undefined && (name === 'key' || name === 'value')
    if (isMissing || (value !== undefined && typeof value !== type)) return `"${name}" must be a ${type}`
  }
  return undefined
}
