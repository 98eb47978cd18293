import { execFileSync } from 'node:child_process'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import type { FunctionConfig } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { workers } from '../../../src/emulators/workers/index.ts'
import { serveFunction, type Served } from '../conformance.ts'

const FIXTURES = join(import.meta.dirname, '../../fixtures/workers')

export interface Laid {
  /** A fixture's folder, copied first. */
  readonly fixture?: string
  /** A fixture's file as `index.ts`. */
  readonly program?: string
  /** Text by path; wins over both. */
  readonly files?: Readonly<Record<string, string>>
  readonly config?: Partial<FunctionConfig>
  /** Lays what is no text. */
  readonly more?: (directory: AbsolutePath) => Promise<void>
}

export const MINIMAL = '{ "name": "worker", "main": "index.ts", "compatibility_date": "2026-01-01" }\n'

/** Lays a worker into a folder and tells its configuration, as detection would. */
export async function lay(directory: AbsolutePath, laid: Laid): Promise<FunctionConfig> {
  if (laid.fixture !== undefined) await cp(join(FIXTURES, laid.fixture), directory, { recursive: true })
  else await write(directory, { 'wrangler.jsonc': MINIMAL })
  if (laid.program !== undefined) await cp(join(FIXTURES, laid.program), join(directory, 'index.ts'))
  await write(directory, laid.files ?? {})
  await laid.more?.(directory)
  const { functions } = await workers.detect(directory, { environment: {} })
  const [config] = functions
  if (config === undefined) throw new Error('the fixture is no worker')
  return { ...config, ...laid.config }
}

export async function write(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), text)
  }
}

export function serveWorker(laid: Laid): Promise<Served> {
  return serveFunction(workers, (directory) => lay(directory, laid))
}

/** The pids of workerd processes that this process started. */
export function runtimes(): number[] {
  return execFileSync('ps', ['-e', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' })
    .split('\n')
    .map((row) => /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(\S+)/.exec(row))
    .filter((row) => row?.[2] === String(process.pid) && row[4]?.endsWith('/workerd') && row[3]?.[0] !== 'Z')
    .map((row) => Number(row?.[1]))
}
