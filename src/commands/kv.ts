import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import type { KvKey, StoredResource } from '../app/worker-state.ts'
import { FlexiError } from '../core/errors.ts'
import { paintFor } from '../terminal/paint.ts'
import { table } from '../terminal/table.ts'
import { FlexiCommand } from './flexi-command.ts'
import { bytesOf, inputOf, jsonBytes, jsonFlag, printBytes, stateFlags, withState } from './state-options.ts'

/** KV's own limit, known before a file is read. */
const VALUE_BYTES_MAX = 25 * 1024 * 1024

const keyArg = Args.string({ ignoreStdin: true, required: true, description: 'the key' })

export const namespaceFlags = {
  ...stateFlags,
  binding: Flags.string({
    char: 'b',
    helpValue: 'NAME',
    summary: 'The namespace, by its binding. Not needed where there is one.',
    exclusive: ['namespace-id'],
  }),
  'namespace-id': Flags.string({ helpValue: 'ID', summary: 'The namespace, by its id.' }),
}

export function wantedNamespace(flags: {
  readonly binding: string | undefined
  readonly 'namespace-id': string | undefined
}): { name: string | undefined; by: string } {
  return { name: flags.binding ?? flags['namespace-id'], by: '--binding' }
}

export class KvNamespaces extends FlexiCommand {
  static override readonly summary = 'List the KV namespaces that workers here are bound to.'
  static override readonly examples = [
    { description: 'Of the folder you are in', command: '<%= config.bin %> kv namespaces' },
  ]
  static override readonly hiddenAliases = ['kv:namespace:list']
  static override readonly flags = stateFlags

  async run(): Promise<readonly (StoredResource & { readonly function: string })[]> {
    const { flags } = await this.parse(KvNamespaces)
    return await withState(flags, async ({ resources }) => {
      const list = resources.flatMap(({ function: name, kv }) =>
        kv.map((one) => ({ ...one, function: name })),
      )
      const rows = list.map((one) => [one.binding ?? '', one.id, one.function])
      const paint = paintFor(process.stdout, process.env)
      this.print(table(['BINDING', 'ID', 'WORKER'], rows, { paint, indent: 0, columns: [paint.cyan] }))
      return await Promise.resolve(list)
    })
  }
}

export class KvList extends FlexiCommand {
  static override readonly summary = 'List the keys of a KV namespace.'
  static override readonly examples = [
    { description: 'All', command: '<%= config.bin %> kv list' },
    {
      description: 'Those that begin so',
      command: '<%= config.bin %> kv list --binding CACHE --prefix user:',
    },
  ]
  static override readonly hiddenAliases = ['kv:key:list']
  static override readonly flags = {
    ...namespaceFlags,
    prefix: Flags.string({ helpValue: 'TEXT', summary: 'Only keys that begin so.' }),
  }

  async run(): Promise<readonly KvKey[]> {
    const { flags } = await this.parse(KvList)
    const { kvNamespace } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const namespace = kvNamespace(await state.find('kv', wantedNamespace(flags)))
      const keys: KvKey[] = []
      for await (const key of namespace.list(flags.prefix)) keys.push(key)
      const rows = keys.map(({ name, expiration, metadata }) => [
        name,
        expiration === undefined ? '' : new Date(expiration * 1000).toISOString(),
        metadata === undefined ? '' : JSON.stringify(metadata),
      ])
      const paint = paintFor(process.stdout, process.env)
      this.print(table(['KEY', 'EXPIRES', 'METADATA'], rows, { paint, indent: 0, columns: [paint.cyan] }))
      return keys
    })
  }
}

interface KvGetJson {
  readonly key: string
  /** Of bytes that are no text: in base64. */
  readonly value: string
  readonly base64?: true
  readonly metadata?: unknown
}

export class KvGet extends FlexiCommand {
  static override readonly summary = 'Print the value of a key.'
  static override readonly description =
    'The bytes are printed as they are. With --json also the metadata; bytes that are no text are base64 there.'
  static override readonly examples = [
    { description: 'Print it', command: '<%= config.bin %> kv get user:1' },
    { description: 'Into a file', command: '<%= config.bin %> kv get --binding IMAGES logo > logo.png' },
  ]
  static override readonly hiddenAliases = ['kv:key:get']
  static override readonly args = { key: keyArg }
  static override readonly flags = {
    ...namespaceFlags,
    text: Flags.boolean({ summary: 'Print it as text, with a line end.' }),
  }

  async run(): Promise<KvGetJson> {
    const { args, flags } = await this.parse(KvGet)
    const { kvNamespace } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const resource = await state.find('kv', wantedNamespace(flags))
      const found = await kvNamespace(resource).get(args.key)
      if (found === undefined)
        throw new FlexiError('FLEXI_NO_INPUT', `there is no key "${args.key}" in ${resource.id}`)
      const { key } = args
      if (!this.jsonEnabled() && !flags.text) {
        await printBytes(found.body)
        if (process.stdout.isTTY) this.log()
        return { key, value: '' }
      }
      const bytes = await bytesOf({ content: found.body })
      this.print([bytes.toString()])
      return { key, ...jsonBytes(bytes), metadata: found.metadata }
    })
  }
}

export class KvPut extends FlexiCommand {
  static override readonly summary = 'Write a value under a key.'
  static override readonly description =
    'The value is an argument, a file, or standard input. A worker that runs sees it at once.'
  static override readonly examples = [
    { description: 'Text', command: '<%= config.bin %> kv put user:1 Ada' },
    {
      description: 'A file, for an hour, with metadata',
      command: `<%= config.bin %> kv put logo --path logo.png --ttl 3600 --metadata '{"type":"image/png"}'`,
    },
    { description: 'From standard input', command: 'date | <%= config.bin %> kv put --binding CACHE now' },
  ]
  static override readonly hiddenAliases = ['kv:key:put']
  static override readonly args = {
    key: keyArg,
    value: Args.string({ ignoreStdin: true, description: 'text' }),
  }
  static override readonly flags = {
    ...namespaceFlags,
    path: Flags.string({ helpValue: 'FILE', summary: 'Take the value from a file.' }),
    ttl: Flags.integer({ min: 1, helpValue: 'SECONDS', summary: 'Keep it so long; at least 60.' }),
    expiration: Flags.integer({
      min: 1,
      helpValue: 'SECONDS',
      summary: 'Keep it until then, in seconds since 1970.',
      exclusive: ['ttl'],
    }),
    metadata: Flags.string({ helpValue: 'JSON', summary: 'Metadata of the key.' }),
  }

  async run(): Promise<{ readonly key: string }> {
    const { args, flags } = await this.parse(KvPut)
    const metadata = jsonFlag('metadata', flags.metadata)
    const { ttl, expiration } = flags
    const ways = 'Write it after the key, name a file with --path, or pipe it in.'
    const input = await inputOf({ text: args.value, file: flags.path, ways })
    if (input.bytes !== undefined && input.bytes > VALUE_BYTES_MAX)
      throw new FlexiError(
        'FLEXI_BAD_REQUEST',
        `the value has ${input.bytes} bytes, and KV takes ${VALUE_BYTES_MAX}`,
      )
    const { kvNamespace } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const namespace = kvNamespace(await state.find('kv', wantedNamespace(flags)))
      await namespace.put(args.key, await bytesOf(input), { ttl, expiration, metadata })
      this.print([`written: ${args.key}`])
      return { key: args.key }
    })
  }
}

export class KvDelete extends FlexiCommand {
  static override readonly summary = 'Delete a key.'
  static override readonly description = 'A key that is not there is no error.'
  static override readonly examples = [
    { description: 'Delete it', command: '<%= config.bin %> kv delete user:1' },
  ]
  static override readonly hiddenAliases = ['kv:key:delete']
  static override readonly args = { key: keyArg }
  static override readonly flags = namespaceFlags

  async run(): Promise<{ readonly key: string }> {
    const { args, flags } = await this.parse(KvDelete)
    const { kvNamespace } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      await kvNamespace(await state.find('kv', wantedNamespace(flags))).delete(args.key)
      this.print([`deleted: ${args.key}`])
      return { key: args.key }
    })
  }
}
