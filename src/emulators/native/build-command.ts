import { FlexiError } from '../../core/errors.ts'
import type { FunctionScope } from '../../core/function.ts'
import type { AbsolutePath, Fault, Place } from '../../core/place.ts'
import { startChild, type Child } from '../../instances/child.ts'
import { missingTool } from './build-tools.ts'
import { parseDiagnostics } from './diagnostics.ts'
import { openTranscript, type Transcript } from './transcript.ts'

export interface BuildCommandOptions {
  readonly command: string
  readonly directory: AbsolutePath
  readonly environment: Readonly<Record<string, string>>
  /** Where the command is written down: the place of faults that have no other. */
  readonly origin: Place
  readonly scope: Pick<FunctionScope, 'output'>
  /** Default `BUILD_MS_MAX`. */
  readonly limitMs?: number | undefined
}

export interface RunningBuild {
  /**
   * Resolves when the command has succeeded.
   * @throws FlexiError FLEXI_BUILD with what the compiler reported, FLEXI_TOOL_MISSING when there is no such compiler.
   */
  readonly done: Promise<void>
  /** Ends the command and what it started; `done` then rejects. */
  stop(): void
}

/** No compiler of ours to judge takes longer; a command that hangs would for ever. */
const BUILD_MS_MAX = 600_000
/** What prints more is in a loop, and would keep the server busy with reading. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
/** make and compilers remove what they have half written when they are asked to end; then they are made to. */
const STOP_MS = 1_000

/** Why a command was ended by us. */
type Reason = 'late' | 'loud' | 'stopped'

/** Runs a project's own build command through `sh`, as its author would type it. */
export function runBuildCommand(options: BuildCommandOptions): RunningBuild {
  const transcript = openTranscript()
  let reason: Reason | undefined
  const end = (why: Reason): void => {
    if (reason !== undefined) return
    reason = why
    endChild(child)
  }
  const child = startChild({
    command: 'sh',
    args: ['-c', options.command],
    cwd: options.directory,
    environment: environmentOf(options),
    onLine: (_stream, text) => {
      transcript.push(text)
      if (transcript.bytes > OUTPUT_BYTES_MAX) end('loud')
    },
  })
  const timer = setTimeout(() => end('late'), options.limitMs ?? BUILD_MS_MAX)
  endWithUs(child)
  const finish = async (): Promise<void> => {
    const { code, signal, error } = await child.exited
    clearTimeout(timer)
    running.delete(child)
    const { command } = options
    if (error !== undefined)
      throw new FlexiError('FLEXI_BUILD', `"${command}" cannot be run`, { cause: error })
    if (reason !== undefined) throw endedError(reason, { ...options, transcript })
    if (code !== 0) throw failure({ ...options, transcript, code, end: signal ?? `exit code ${code}` })
    tellOutput(options, transcript)
  }
  return { done: finish(), stop: () => end('stopped') }
}

const running = new Set<Child>()
let listening = false

/** Who exits without disposing anything leaves nothing behind either: the death signal reaches the shell alone. */
function endWithUs(child: Child): void {
  running.add(child)
  if (listening) return
  listening = true
  process.once('exit', () => {
    for (const own of running) own.kill()
  })
}

function environmentOf({ environment }: BuildCommandOptions): Readonly<Record<string, string>> {
  const inherited = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined || name.startsWith('NODE_') ? [] : [[name, value] as const],
  )
  // Compilers translate "error:" too; a language nobody has a translation for leaves it as it is, and the character set alone.
  return { ...Object.fromEntries(inherited), LANGUAGE: 'en', ...environment }
}

function endChild(child: Child): void {
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  void child.exited.then(() => clearTimeout(timer))
}

interface Output {
  readonly command: string
  readonly transcript: Transcript
}

function endedError(reason: Reason, output: Output & Pick<BuildCommandOptions, 'limitMs'>): FlexiError {
  const { command, transcript, limitMs = BUILD_MS_MAX } = output
  switch (reason) {
    case 'late': {
      const limit = limitMs < 60_000 ? `${limitMs / 1000} seconds` : `${limitMs / 60_000} minutes`
      return new FlexiError('FLEXI_BUILD', `"${command}" did not end within ${limit}${tailOf(transcript)}`, {
        hint: 'Run it by hand to see what it waits for. It can read no input.',
      })
    }
    case 'loud': {
      const size = `${OUTPUT_BYTES_MAX / 1024 / 1024} MB`
      return new FlexiError('FLEXI_BUILD', `"${command}" printed more than ${size}${tailOf(transcript)}`, {
        hint: 'Run it by hand to see what it repeats.',
      })
    }
    case 'stopped':
      return new FlexiError('FLEXI_BUILD', `"${command}" was ended`)
  }
}

interface Failed extends Output, BuildCommandOptions {
  readonly code: number | null
  readonly end: string
}

function failure(failed: Failed): FlexiError {
  const { command, origin, transcript } = failed
  const faults = parseDiagnostics(transcript.head, failed)
  const errors = faults.filter(({ severity }) => severity !== 'warning')
  const tool = missingTool([...transcript.head, ...transcript.tail], command)
  // Some builds ask for a program and do without: a fault in a source is the better reason.
  const placed = errors.some(({ place }) => place !== origin)
  if (tool !== undefined && !placed)
    return new FlexiError('FLEXI_TOOL_MISSING', `"${command}" needs ${tool.name}, which is not installed`, {
      hint: tool.hint,
    })
  const hint = tool === undefined ? {} : { hint: `${tool.name} is not installed. ${tool.hint}` }
  if (errors.length === 0)
    return new FlexiError(
      'FLEXI_BUILD',
      `"${command}" failed with ${failed.end}${tailOf(transcript)}`,
      failed.code === 127 ? { hint: 'Install what it calls: 127 says that there is no such command.' } : hint,
    )
  return new FlexiError('FLEXI_BUILD', `the build failed: ${describe(errors)}`, { faults, ...hint })
}

function tailOf({ tail }: Transcript): string {
  return tail.map((line) => `\n  ${line}`).join('')
}

function describe(errors: readonly Fault[]): string {
  const [first] = errors
  if (first === undefined) return ''
  const { file, line, column } = first.place
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  return `${file}:${line}:${column}: ${first.message}${more}`
}

/** So many lines of a build that succeeded are shown. */
const SHOWN_LINES_MAX = 200
/** Cargo says these each time. */
const PROGRESS = /^\s*(?:Compiling|Finished|Fresh|Checking|Blocking waiting|Downloaded|Downloading|Updating) /

/** Warnings of a build that succeeded are worth reading, and do not stop anything. */
function tellOutput({ scope, directory, origin }: BuildCommandOptions, transcript: Transcript): void {
  const lines = transcript.head.filter((line) => !PROGRESS.test(line))
  const level = parseDiagnostics(lines, { directory, origin }).length > 0 ? 'warn' : 'info'
  const shown = lines.slice(0, SHOWN_LINES_MAX)
  const left = transcript.lines - (transcript.head.length - lines.length) - shown.length
  for (const text of shown) scope.output({ stream: 'stderr', level, text })
  if (left > 0) scope.output({ stream: 'stderr', level, text: `… and ${left} more lines` })
}
