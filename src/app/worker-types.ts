import { join, relative } from 'node:path'

import { FlexiError } from '../core/errors.ts'
import type { FunctionConfig } from '../core/function.ts'
import type { AbsolutePath } from '../core/place.ts'
import { closest } from '../core/suggest.ts'
import { readProject } from '../config/project.ts'
import { emulators } from '../emulators/registry.ts'

export interface WorkerTypesOptions {
  readonly directory: AbsolutePath
  readonly configFile?: AbsolutePath | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** One worker; all of the project when undefined. */
  readonly name?: string | undefined
  readonly interfaceName: string
  readonly includeRuntime: boolean
  readonly file?: AbsolutePath | undefined
  /** Nothing is written: it is told whether something would be. */
  readonly check: boolean
}

export interface WorkerTypesReport {
  readonly function: string
  /** From the project's folder. */
  readonly file: string
  /** Before this run. */
  readonly upToDate: boolean
  readonly bytes: number
  readonly notes: readonly string[]
}

/** Declarations of what each Worker of a project finds in `env`. @throws FlexiError FLEXI_FUNCTION_UNKNOWN, FLEXI_USAGE, FLEXI_CONFIG. */
export async function writeWorkerTypes(options: WorkerTypesOptions): Promise<readonly WorkerTypesReport[]> {
  const { directory, configFile, environment } = options
  const project = await readProject({ directory, configFile, environment, emulators })
  const workers = project.functions.filter(({ provider }) => provider === 'workers')
  const chosen = choose(workers, options)
  const { isUpToDate, typeFile, writeTypeFile } = await import('../emulators/workers/types/index.ts')
  const stateDirectory = join(directory, '.flexi') as AbsolutePath
  const reports: WorkerTypesReport[] = []
  for (const worker of chosen) {
    const made = await typeFile(worker, { ...options, workers, stateDirectory })
    const upToDate = await isUpToDate(made)
    if (!options.check) await writeTypeFile(made)
    const { file, text, notes } = made
    reports.push({
      function: worker.name,
      file: relative(directory, file),
      upToDate,
      bytes: Buffer.byteLength(text),
      notes,
    })
  }
  return reports
}

function choose(
  workers: readonly FunctionConfig[],
  { name, file }: WorkerTypesOptions,
): readonly FunctionConfig[] {
  const names = workers.map((worker) => worker.name)
  if (workers.length === 0)
    throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', 'the project has no Worker', {
      hint: 'Types are told of Cloudflare Workers: folders with a wrangler file.',
    })
  if (name === undefined && file !== undefined && workers.length > 1)
    throw new FlexiError('FLEXI_USAGE', 'one file cannot hold the types of several Workers', {
      hint: `Name one with --function: ${names.join(', ')}.`,
    })
  if (name === undefined) return workers
  const found = workers.filter((worker) => worker.name === name)
  if (found.length > 0) return found
  const near = closest(name, names)
  throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `no Worker is called ${name}`, {
    hint: near === undefined ? `This project has: ${names.join(', ')}.` : `Did you mean ${near}?`,
  })
}
