import { FlexiError } from '../../core/errors.ts'
import type { FunctionScope } from '../../core/function.ts'
import type { AbsolutePath, Fault } from '../../core/place.ts'
import { startChild, type Child } from '../../instances/child.ts'
import { parseDiagnostics } from './diagnostics.ts'

export interface BuildCommandOptions {
  readonly command: string
  readonly directory: AbsolutePath
  readonly environment: Readonly<Record<string, string>>
  readonly scope: FunctionScope
  /** Gets the process, so that the owner can end it. */
  onStart(child: Child): void
}

/** No compiler of ours to judge takes longer; a command that waits for input would for ever. */
const BUILD_MS_MAX = 600_000
/** Of a failed command whose output says nothing we can read, so many last lines are shown. */
const TAIL_LINES = 12

/**
 * Runs a project's own build command through `sh`, as its author would type it.
 * @throws FlexiError FLEXI_BUILD with what the compiler reported, FLEXI_TOOL_MISSING when there is no such compiler.
 */
export async function runBuildCommand(options: BuildCommandOptions): Promise<void> {
  const { command, directory, environment, scope } = options
  const lines: string[] = []
  const inherited = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined || name.startsWith('NODE_') ? [] : [[name, value] as const],
  )
  const child = startChild({
    command: 'sh',
    args: ['-c', command],
    cwd: directory,
    environment: { ...Object.fromEntries(inherited), ...environment },
    onLine: (_stream, text) => lines.push(text),
  })
  options.onStart(child)
  let late = false
  const timer = setTimeout(() => {
    late = true
    child.kill()
  }, BUILD_MS_MAX)
  const { code, signal, error } = await child.exited
  clearTimeout(timer)
  if (error !== undefined) throw new FlexiError('FLEXI_BUILD', `"${command}" cannot be run`, { cause: error })
  if (late)
    throw new FlexiError('FLEXI_BUILD', `"${command}" did not end within ${BUILD_MS_MAX / 60_000} minutes`)
  if (code !== 0) throw buildFailure(options, lines, signal ?? `exit code ${code}`)
  // Warnings of a build that succeeded are worth reading, and do not stop anything.
  for (const text of lines) scope.output({ stream: 'stderr', level: 'warn', text })
}

function buildFailure(options: BuildCommandOptions, lines: readonly string[], end: string): FlexiError {
  const tool = missingTool(lines)
  if (tool !== undefined) {
    return new FlexiError(
      'FLEXI_TOOL_MISSING',
      `"${options.command}" needs ${tool}, which is not installed`,
      {
        hint: INSTALL[tool] ?? `Install ${tool}, or change the "build" command.`,
      },
    )
  }
  const all = parseDiagnostics(lines, options.directory)
  const errors = all.filter(({ severity }) => severity !== 'warning')
  if (errors.length === 0) {
    const tail = lines.slice(-TAIL_LINES).map((line) => `\n  ${line}`)
    return new FlexiError('FLEXI_BUILD', `"${options.command}" failed with ${end}${tail.join('')}`)
  }
  return new FlexiError('FLEXI_BUILD', `the build failed: ${describe(errors)}`, { faults: all })
}

function describe(errors: readonly Fault[]): string {
  const [first] = errors
  if (first === undefined) return ''
  const { file, line, column } = first.place
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  return `${file}:${line}:${column}: ${first.message}${more}`
}

const APT_C =
  'Install a C compiler: "apt install build-essential" on Debian, "xcode-select --install" on macOS.'
const INSTALL: Readonly<Record<string, string>> = {
  cc: APT_C,
  gcc: APT_C,
  clang: 'Install clang: "apt install clang" on Debian, "xcode-select --install" on macOS.',
  'c++': APT_C,
  'g++': APT_C,
  ld: APT_C,
  make: 'Install make: "apt install make" on Debian, "xcode-select --install" on macOS.',
  cmake: 'Install CMake: "apt install cmake" on Debian, "brew install cmake" on macOS.',
  cargo: 'Install Rust: https://rustup.rs',
  rustc: 'Install Rust: https://rustup.rs',
  zig: 'Install Zig: https://ziglang.org/download/, or "pip install ziglang" and build with "python3 -m ziglang".',
  ziglang: 'Install it with "pip install ziglang".',
  go: 'Install Go: https://go.dev/dl/',
}

/** How sh, bash, make, env, cargo and python say that a program is not there. */
const MISSING = [
  /^(?:\S*sh): (?:line )?\d+: (\S+?): (?:command )?not found$/,
  /^(?:\S*sh): (\S+?): (?:command )?not found$/,
  /^\S*make(?:\[\d+\])?: (\S+): No such file or directory$/,
  /^(?:\S*env): [‘'"]?([^’'":]+)[’'"]?: No such file or directory$/,
  /error: linker `([^`]+)` not found$/,
  /No module named '?(ziglang)'?$/,
]

function missingTool(lines: readonly string[]): string | undefined {
  for (const line of lines) {
    for (const pattern of MISSING) {
      const name = pattern.exec(line)?.[1]
      if (name !== undefined) return name
    }
  }
  return undefined
}
