import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { FunctionConfig } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { lambda } from '../../../src/emulators/lambda/index.ts'
import type { Conformance } from '../conformance.ts'

const FIXTURES = join(import.meta.dirname, '../../fixtures/lambda')
const TIMEOUT_MS = 1_500

/** What the suite has to know of Lambda. */
export const LAMBDA = {
  emulator: lambda,
  bodyBytesMax: {
    bytes: 4_500_000,
    reason: 'an event has at most 6 MiB, and Base64 makes bytes a third larger',
  },
  fields: { lowerCase: 'payload format 2.0', merged: 'payload format 2.0' },
  status: { thrown: 502, crashed: 502, timedOut: 502 },
  timeoutMs: TIMEOUT_MS,
  memoryMb: 160,
} as const

/** The same function in another language or with another way to answer. */
export function provider(file: string, handler: string): Pick<Conformance, 'install' | 'edit'> {
  return {
    async install(directory) {
      await copyFile(join(FIXTURES, file), join(directory, file))
      return config(directory, handler)
    },
    async edit(directory, version) {
      const text = await readFile(join(directory, file), 'utf8')
      await writeFile(join(directory, file), text.replace(/(VERSION = )(['"])v\d+\2/, `$1$2${version}$2`))
    },
  }
}

function config(directory: AbsolutePath, handler: string): FunctionConfig {
  return {
    name: 'conformance',
    provider: 'lambda',
    directory,
    origin: { file: join(directory, 'flexi.jsonc'), line: 1, column: 1 },
    environment: {},
    timeoutMs: TIMEOUT_MS,
    memoryMb: LAMBDA.memoryMb,
    options: { handler },
  }
}
