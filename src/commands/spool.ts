import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

import type { Input } from './state-options.ts'

export interface Spooled extends AsyncDisposable {
  readonly content: Input['content']
  readonly bytes: number
}

/** Finds out how long standard input is, which must be known before an object is stored, without holding it in memory. */
export async function spool({ content, bytes }: Input): Promise<Spooled> {
  if (bytes !== undefined || content instanceof Uint8Array)
    return {
      content,
      bytes: bytes ?? (content as Uint8Array).byteLength,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
  const folder = await mkdtemp(join(tmpdir(), 'flexi-put-'))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  const file = join(folder, 'content')
  try {
    await pipeline(content, createWriteStream(file))
    return { content: createReadStream(file), bytes: (await stat(file)).size, [Symbol.asyncDispose]: remove }
  } catch (error) {
    await remove()
    throw error
  }
}
