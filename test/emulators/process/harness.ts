import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import type { FunctionConfig } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'

/** Lays files into a folder, and says how a program of them is run. */
export const installed =
  (files: Readonly<Record<string, string>>, options: object, more: Partial<FunctionConfig> = {}) =>
  async (directory: AbsolutePath): Promise<FunctionConfig> => {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(directory, path)), { recursive: true })
      await writeFile(join(directory, path), text, { mode: path.endsWith('.sh') ? 0o755 : 0o644 })
    }
    const origin = { file: join(directory, 'flexi.jsonc'), line: 1, column: 1 }
    return {
      name: 'tested',
      provider: 'process',
      directory,
      origin,
      environment: {},
      ...more,
      options: { ...options, ...more.options },
    }
  }
