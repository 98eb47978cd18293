import { createWriteStream } from 'node:fs'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'

import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import type { R2Object, StoredResource } from '../app/worker-state.ts'
import { FlexiError } from '../core/errors.ts'
import { paintFor } from '../terminal/paint.ts'
import { table } from '../terminal/table.ts'
import { FlexiCommand } from './flexi-command.ts'
import { assignments } from './options.ts'
import { spool } from './spool.ts'
import { inputOf, printBytes, stateFlags, withState } from './state-options.ts'

const objectArg = Args.string({
  ignoreStdin: true,
  required: true,
  description: 'BUCKET/KEY, with the name of the bucket or its binding',
})

/** `images/logos/a.png` → bucket `images`, key `logos/a.png` @throws FlexiError FLEXI_USAGE without a key. */
function objectPath(path: string): { bucket: { name: string; by: string }; key: string } {
  const at = path.indexOf('/')
  const key = path.slice(at + 1)
  if (at < 1 || key === '')
    throw new FlexiError('FLEXI_USAGE', `${path} names no object`, { hint: 'Write BUCKET/KEY.' })
  return { bucket: { name: path.slice(0, at), by: 'BUCKET' }, key }
}

const missing = (path: string): FlexiError => new FlexiError('FLEXI_NO_INPUT', `there is no object ${path}`)

export class R2Buckets extends FlexiCommand {
  static override readonly summary = 'List the R2 buckets that workers here are bound to.'
  static override readonly examples = [
    { description: 'Of the folder you are in', command: '<%= config.bin %> r2 buckets' },
  ]
  static override readonly hiddenAliases = ['r2:bucket:list']
  static override readonly flags = stateFlags

  async run(): Promise<readonly (StoredResource & { readonly function: string })[]> {
    const { flags } = await this.parse(R2Buckets)
    return await withState(flags, async ({ resources }) => {
      const list = resources.flatMap(({ function: name, r2 }) =>
        r2.map((one) => ({ ...one, function: name })),
      )
      const rows = list.map((one) => [one.binding ?? '', one.id, one.function])
      const paint = paintFor(process.stdout, process.env)
      this.print(table(['BINDING', 'BUCKET', 'WORKER'], rows, { paint, indent: 0, columns: [paint.cyan] }))
      return await Promise.resolve(list)
    })
  }
}

export class R2List extends FlexiCommand {
  static override readonly summary = 'List the objects of an R2 bucket.'
  static override readonly examples = [
    { description: 'All', command: '<%= config.bin %> r2 list' },
    { description: 'Those that begin so', command: '<%= config.bin %> r2 list images --prefix logos/' },
  ]
  static override readonly args = {
    bucket: Args.string({
      ignoreStdin: true,
      description: 'the bucket, or its binding; not needed for the only one',
    }),
  }
  static override readonly flags = {
    ...stateFlags,
    prefix: Flags.string({ helpValue: 'TEXT', summary: 'Only keys that begin so.' }),
  }

  async run(): Promise<readonly R2Object[]> {
    const { args, flags } = await this.parse(R2List)
    const { r2Bucket } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const bucket = r2Bucket(await state.find('r2', { name: args.bucket, by: 'BUCKET' }))
      const objects: R2Object[] = []
      for await (const object of bucket.list(flags.prefix)) objects.push(object)
      const rows = objects.map(({ key, size, uploaded, httpMetadata }) => [
        key,
        String(size),
        uploaded,
        httpMetadata?.contentType ?? '',
      ])
      const paint = paintFor(process.stdout, process.env)
      this.print(
        table(['KEY', 'BYTES', 'UPLOADED', 'TYPE'], rows, { paint, indent: 0, columns: [paint.cyan] }),
      )
      return objects
    })
  }
}

export class R2Head extends FlexiCommand {
  static override readonly summary = 'Print what is known of an object, without its bytes.'
  static override readonly examples = [
    { description: 'Size, date and metadata', command: '<%= config.bin %> r2 head images/logo.png' },
  ]
  static override readonly args = { object: objectArg }
  static override readonly flags = stateFlags

  async run(): Promise<R2Object> {
    const { args, flags } = await this.parse(R2Head)
    const { bucket, key } = objectPath(args.object)
    const { r2Bucket } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const object = await r2Bucket(await state.find('r2', bucket)).head(key)
      if (object === undefined) throw missing(args.object)
      const rows = Object.entries(object).map(([name, value]) => [
        name,
        typeof value === 'object' ? JSON.stringify(value) : String(value),
      ])
      const paint = paintFor(process.stdout, process.env)
      this.print(table(['FIELD', 'VALUE'], rows, { paint, indent: 0, columns: [paint.cyan] }))
      return object
    })
  }
}

export class R2Get extends FlexiCommand {
  static override readonly summary = 'Fetch an object.'
  static override readonly description =
    'It is written into a file that is called as the last part of its key, or as --file says.'
  static override readonly examples = [
    { description: 'Into ./logo.png', command: '<%= config.bin %> r2 get images/logos/logo.png' },
    {
      description: 'To standard output',
      command: '<%= config.bin %> r2 get images/logos/logo.png --pipe | file -',
    },
  ]
  static override readonly hiddenAliases = ['r2:object:get']
  static override readonly args = { object: objectArg }
  static override readonly flags = {
    ...stateFlags,
    file: Flags.string({ char: 'f', helpValue: 'FILE', summary: 'Write it there.', exclusive: ['pipe'] }),
    pipe: Flags.boolean({ char: 'p', summary: 'Write it to standard output.' }),
  }

  async run(): Promise<{ readonly object: string; readonly file?: string }> {
    const { args, flags } = await this.parse(R2Get)
    const { bucket, key } = objectPath(args.object)
    const { r2Bucket } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const body = await r2Bucket(await state.find('r2', bucket)).get(key)
      if (body === undefined) throw missing(args.object)
      // Two results on one standard output are none.
      if (flags.pipe && !this.jsonEnabled()) {
        await printBytes(body)
        return { object: args.object }
      }
      const file = flags.file ?? basename(key)
      await pipeline(body, createWriteStream(file)).catch((cause: unknown) => {
        throw new FlexiError('FLEXI_NO_INPUT', `${file} cannot be written`, { cause })
      })
      this.print([`written: ${file}`])
      return { object: args.object, file }
    })
  }
}

const metadataFlags = {
  'content-type': Flags.string({
    helpValue: 'TYPE',
    summary: 'Content-Type of the object.',
    aliases: ['ct'],
  }),
  'content-disposition': Flags.string({
    helpValue: 'TEXT',
    summary: 'Content-Disposition.',
    aliases: ['cd'],
  }),
  'content-encoding': Flags.string({ helpValue: 'TEXT', summary: 'Content-Encoding.', aliases: ['ce'] }),
  'content-language': Flags.string({ helpValue: 'TEXT', summary: 'Content-Language.', aliases: ['cl'] }),
  'cache-control': Flags.string({ helpValue: 'TEXT', summary: 'Cache-Control.', aliases: ['cc'] }),
  expires: Flags.string({ helpValue: 'DATE', summary: 'Until when caches may keep it.' }),
  metadata: Flags.string({
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'NAME=VALUE',
    summary: 'Metadata of your own.',
    default: [],
  }),
}

/** @throws FlexiError FLEXI_USAGE for what is no date. */
function isoDate(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const date = new Date(text)
  if (!Number.isNaN(date.getTime())) return date.toISOString()
  throw new FlexiError('FLEXI_USAGE', `--expires ${text} is no date`, { hint: 'Write 2030-01-31.' })
}

export class R2Put extends FlexiCommand {
  static override readonly summary = 'Store an object.'
  static override readonly description = 'A worker that runs sees it at once.'
  static override readonly examples = [
    {
      description: 'A file',
      command: '<%= config.bin %> r2 put images/logo.png --file logo.png --content-type image/png',
    },
    { description: 'From standard input', command: 'date | <%= config.bin %> r2 put images/now.txt --pipe' },
  ]
  static override readonly hiddenAliases = ['r2:object:put']
  static override readonly args = { object: objectArg }
  static override readonly flags = {
    ...stateFlags,
    file: Flags.string({ char: 'f', helpValue: 'FILE', summary: 'Take it from there.' }),
    pipe: Flags.boolean({ char: 'p', summary: 'Take it from standard input.' }),
    ...metadataFlags,
  }

  async run(): Promise<R2Object> {
    const { args, flags } = await this.parse(R2Put)
    const { bucket, key } = objectPath(args.object)
    const customMetadata = assignments('metadata', flags.metadata)
    const httpMetadata = {
      contentType: flags['content-type'],
      contentDisposition: flags['content-disposition'],
      contentEncoding: flags['content-encoding'],
      contentLanguage: flags['content-language'],
      cacheControl: flags['cache-control'],
      cacheExpiry: isoDate(flags.expires),
    }
    const ways = 'Name a file with --file, or pipe it in with --pipe.'
    const given = await inputOf({ file: flags.file, pipe: flags.pipe, ways })
    const { r2Bucket } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const target = r2Bucket(await state.find('r2', bucket))
      await using input = await spool(given)
      const { content, bytes } = input
      const object = await target.put(key, content, { bytes, httpMetadata, customMetadata })
      this.print([`stored: ${args.object} (${object.size} bytes)`])
      return object
    })
  }
}

export class R2Delete extends FlexiCommand {
  static override readonly summary = 'Delete an object.'
  static override readonly description = 'An object that is not there is no error.'
  static override readonly examples = [
    { description: 'Delete it', command: '<%= config.bin %> r2 delete images/logo.png' },
  ]
  static override readonly hiddenAliases = ['r2:object:delete']
  static override readonly args = { object: objectArg }
  static override readonly flags = stateFlags

  async run(): Promise<{ readonly object: string }> {
    const { args, flags } = await this.parse(R2Delete)
    const { bucket, key } = objectPath(args.object)
    const { r2Bucket } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      await r2Bucket(await state.find('r2', bucket)).delete(key)
      this.print([`deleted: ${args.object}`])
      return { object: args.object }
    })
  }
}
