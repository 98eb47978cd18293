import { createHash } from 'node:crypto'
import { relative, resolve } from 'node:path'

import type {
  Code,
  FunctionConfig,
  FunctionScope,
  FunctionSource,
  PackagedFile,
} from '../../core/function.ts'
import type { AbsolutePath, Revision } from '../../core/place.ts'
import { signatureOf } from './files.ts'
import type { ProcessOptions } from './options.ts'
import { findProgram } from './program.ts'
import { startInstance } from './instance.ts'
import { shipFiles } from './ship.ts'

export interface SourceOptions {
  readonly config: FunctionConfig
  readonly scope: FunctionScope
  readonly options: ProcessOptions
}

/** A program, and the files that it is started again for. */
export class ProcessSource implements FunctionSource {
  readonly #source: SourceOptions
  readonly #paths: readonly AbsolutePath[]

  constructor(source: SourceOptions) {
    const { config, options } = source
    this.#source = source
    const watched = options.watch ?? ['.']
    this.#paths = watched.map((path) => resolve(config.directory, path) as AbsolutePath)
  }

  async build(): Promise<Code> {
    const { config, scope, options } = this.#source
    const program = findProgram(config, options, scope)
    // What is deployed does not change.
    const signature = scope.mode === 'dev' ? await signatureOf(this.#paths) : ''
    const parts = [options, config.environment, config.timeoutMs, config.memoryMb, program.command, signature]
    const revision = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16) as Revision
    // Two of them cannot listen on one port, where they share a network.
    const shared = typeof options.listen === 'number' && scope.confinement?.sharesLoopback !== false
    return {
      revision,
      concurrency: Infinity,
      upgrades: true,
      exclusive: shared,
      ...(shared ? { instancesMax: 1 } : {}),
      start: () => startInstance({ ...this.#source, program }),
    }
  }

  watched(): readonly AbsolutePath[] {
    return this.#paths
  }

  package(directory: AbsolutePath): Promise<readonly PackagedFile[]> {
    const { config, options } = this.#source
    return shipFiles(config.directory, directory, options.files)
  }

  shipped(): Readonly<Record<string, unknown>> {
    const { config, options } = this.#source
    const kept = Object.entries(config.options).filter(([name]) => name !== 'watch' && name !== 'files')
    return { ...Object.fromEntries(kept), command: portable(options.command, config.directory) }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}

/** A program of its own folder is named from there. */
function portable(command: string, directory: string): string {
  const inside = relative(directory, command)
  return command.startsWith('/') && !inside.startsWith('..') ? `./${inside}` : command
}
