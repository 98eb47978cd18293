import { FlexiError } from '../../core/errors.ts'
import type { FunctionConfig, FunctionScope } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import type { Child } from '../../instances/child.ts'
import { runBuildCommand } from './build-command.ts'
import { findSources, type Sources } from './sources.ts'

export interface CompilerOptions {
  readonly config: FunctionConfig
  readonly scope: FunctionScope
  readonly command: string
  readonly watch: readonly string[] | undefined
  readonly library: AbsolutePath
}

/** A project's build command, run when its sources have changed. */
export interface Compiler {
  /** Valid after the first `compile`, failed or not. */
  readonly sources: Sources
  /** @throws FlexiError what `runBuildCommand` throws; again, without running it, while no source changes. */
  compile(): Promise<void>
  /** Ends a command that is running. */
  stop(): void
}

const NO_SOURCES: Sources = { files: [], folders: [], signature: '' }
/** A command may write sources itself; whether it did, or a person meanwhile, shows in a second run. */
const ROUNDS = 2

export function createCompiler(options: CompilerOptions): Compiler {
  const { config, command, watch, library } = options
  let sources = NO_SOURCES
  let last: { readonly signature: string; readonly error: FlexiError | undefined } | undefined
  let running: Child | undefined
  const scan = async (): Promise<Sources> => {
    sources = await findSources(config.directory, { patterns: watch, except: library })
    return sources
  }
  const run = async (): Promise<FlexiError | undefined> => {
    try {
      const { directory, environment } = config
      const onStart = (child: Child): void => void (running = child)
      await runBuildCommand({ command, directory, environment, scope: options.scope, onStart })
      return undefined
    } catch (error) {
      if (error instanceof FlexiError) return error
      throw error
    } finally {
      running = undefined
    }
  }
  return {
    get sources() {
      return sources
    },
    async compile() {
      for (let round = 1; round <= ROUNDS; round += 1) {
        const before = await scan()
        if (before.signature === last?.signature) break
        const error = await run()
        // It may be installed by the next time, without any source changing.
        if (error?.code === 'FLEXI_TOOL_MISSING') throw error
        const after = await scan()
        const sure = after.signature === before.signature || round === ROUNDS
        last = { signature: sure ? after.signature : '', error }
      }
      if (last?.error !== undefined) throw last.error
    },
    stop: () => running?.kill(),
  }
}
