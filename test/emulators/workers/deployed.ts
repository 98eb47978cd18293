import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { FunctionConfig, FunctionScope, PackagedFile } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { workers } from '../../../src/emulators/workers/index.ts'
import { testScope } from '../../scope.ts'
import { serveFunction, type Served } from '../conformance.ts'
import { lay, type Laid } from './serve.ts'

export interface Shipped extends AsyncDisposable {
  /** What was written; nothing else of the project is left. */
  readonly directory: AbsolutePath
  readonly files: readonly PackagedFile[]
  /** As the daemon opens it. */
  readonly config: FunctionConfig
}

/** Packs a worker as a deployment does, and forgets the project that it came from. */
export async function ship(laid: Laid): Promise<Shipped> {
  const root = (await mkdtemp(join(tmpdir(), 'flexi-ship-'))) as AbsolutePath
  const project = join(root, 'project') as AbsolutePath
  const directory = join(root, 'shipped') as AbsolutePath
  const remove = (): Promise<void> => rm(root, { recursive: true, force: true })
  try {
    const config = await lay(project, laid)
    await using source = await workers.open(config, testScope(project))
    const files = await source.package(directory)
    const options = source.shipped?.() ?? {}
    await rm(project, { recursive: true, force: true })
    return {
      directory,
      files,
      config: { ...config, directory, options, origin: { ...config.origin, file: directory } },
      [Symbol.asyncDispose]: remove,
    }
  } catch (error) {
    // Some workers are not to be packed: that is what is tested.
    await remove()
    throw error
  }
}

interface ServeOptions {
  readonly scope?: Partial<FunctionScope>
  readonly environment?: Record<string, string>
  /** Where it is unpacked, in place of a folder of the run's own. */
  readonly folder?: AbsolutePath
}

/** Runs what was shipped in a folder of its own. */
export function serveShipped(
  { directory, config }: Shipped,
  { scope = {}, environment = {}, folder }: ServeOptions = {},
): Promise<Served> {
  return serveFunction(
    workers,
    async (own) => {
      const unpacked = folder ?? (join(own, 'unpacked') as AbsolutePath)
      await cp(directory, unpacked, { recursive: true })
      return { ...config, directory: unpacked, environment }
    },
    { mode: 'serve', ...scope },
  )
}
