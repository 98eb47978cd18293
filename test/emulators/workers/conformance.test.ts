import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { FunctionConfig } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { workers } from '../../../src/emulators/workers/index.ts'
import { conforms, replaceVersion } from '../conformance.ts'

const FIXTURE = join(import.meta.dirname, '../../fixtures/workers/conformance.ts')
// Memory must be found full before the time is up, on a busy machine too.
const TIMEOUT_MS = 3000

conforms('workers', {
  emulator: workers,
  async install(directory: AbsolutePath): Promise<FunctionConfig> {
    await copyFile(FIXTURE, join(directory, 'index.ts'))
    const file = join(directory, 'wrangler.jsonc')
    await writeFile(
      file,
      '{ "name": "conformance", "main": "index.ts", "compatibility_date": "2026-01-01" }\n',
    )
    return {
      name: 'conformance',
      provider: 'workers',
      directory,
      origin: { file, line: 1, column: 1 },
      environment: {},
      timeoutMs: TIMEOUT_MS,
      options: { config: 'wrangler.jsonc' },
    }
  },
  async edit(directory, version) {
    const file = join(directory, 'index.ts')
    await writeFile(file, await replaceVersion(file, version))
  },
  fields: {
    lowerCase: 'Headers has lower-case names',
    merged: 'Headers joins duplicates with a comma',
  },
  dotsResolved: 'request.url is one that a URL parser has read',
  skip: {
    'a crash costs its request, is reported, and the next one is answered':
      'no program can end workerd but by its memory; the kill of workerd is tested beside this suite',
  },
  status: { thrown: 500, crashed: 503, timedOut: 503 },
  timeoutMs: TIMEOUT_MS,
})
