import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Readable, Writable } from 'node:stream'

import { buildError } from '../../../build/bundle.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { faultAt, type ConfigText } from '../config-faults.ts'
import type { Config } from '../configuration.ts'

export interface CustomBuildOptions {
  readonly command: string
  readonly cwd: string
  /** What `build.watch_dir` names; `src` beside the wrangler file by default. */
  readonly folders: readonly AbsolutePath[]
  /** For the place of a failure. */
  readonly origin: ConfigText
  /** What wrangler calls it in WRANGLER_COMMAND. */
  readonly purpose: 'dev' | 'deploy'
  print(stream: 'stdout' | 'stderr', line: string): void
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: (() => number) | undefined
}

/** `build.command` of the wrangler file. */
export interface CustomBuild extends AsyncDisposable {
  /**
   * Runs the command the first time, and whenever something below its folders has changed since, but for what it wrote there itself.
   * @throws FlexiError FLEXI_BUILD with the command's last lines; the same again while nothing changes, for `RETRY_MS`.
   */
  run(): Promise<void>
}

/** Undefined where there is none. */
export function customBuildOptions(
  config: Config,
  rest: Pick<CustomBuildOptions, 'origin' | 'purpose' | 'print'>,
): CustomBuildOptions | undefined {
  const { command, cwd, watch_dir } = config.build
  if (command === undefined) return undefined
  const directory = dirname(config.configPath ?? '.')
  // Validation made these relative to where this process runs, and left `cwd` as it was.
  const folders = [watch_dir ?? 'src'].flat().map((path) => resolve(path) as AbsolutePath)
  return { command, cwd: resolve(directory, cwd ?? '.'), folders, ...rest }
}

type Stamp = ReadonlyMap<string, string>

interface Run {
  /** Afterwards. */
  readonly stamp: Stamp
  readonly error: unknown
  readonly endedAt: number
}

/**
 * After so long a command that failed may be tried again unchanged: somebody asks for it. What it wrote while it failed asks at once, and
 * would go on asking.
 */
const RETRY_MS = 2_000

export function createCustomBuild(options: CustomBuildOptions): CustomBuild {
  const outputs = new Set<string>()
  const running = new AbortController()
  const { now = () => performance.now() } = options
  let last: Run | undefined
  let turn: Promise<unknown> = Promise.resolve()
  const once = async (): Promise<boolean> => {
    const before = await stampOf(options.folders)
    const error = await runCommand(options, running.signal).catch((cause: unknown) => cause)
    const stamp = await stampOf(options.folders)
    const written = differences(before, stamp)
    // A file that was there, and that no run has written so far, is one that somebody saves while the command runs.
    const edited = last !== undefined && written.some((path) => before.has(path) && !outputs.has(path))
    for (const path of written) outputs.add(path)
    last = { stamp, error, endedAt: now() }
    return edited && error === undefined
  }
  const isDue = async (): Promise<boolean> => {
    if (last === undefined) return true
    if (last.error !== undefined && now() - last.endedAt > RETRY_MS) return true
    return differences(last.stamp, await stampOf(options.folders)).length > 0
  }
  const run = async (): Promise<void> => {
    // Whoever waited for its turn while this was disposed of starts nothing any more.
    if (!running.signal.aborted && (await isDue()) && (await once())) await once()
    if (last?.error !== undefined) throw last.error
  }
  return {
    run() {
      const next = turn.then(run, run)
      turn = next.catch(() => undefined)
      return next
    },
    async [Symbol.asyncDispose]() {
      running.abort()
      await turn
    },
  }
}

const LAST_LINES = 6
/** What a message shows of a command. */
const COMMAND_MAX = 80

async function runCommand(options: CustomBuildOptions, signal: AbortSignal): Promise<void> {
  const lines: string[] = []
  const child = start(options)
  const end = (): void => endGroup(child.pid)
  signal.addEventListener('abort', end, { once: true })
  process.once('exit', end)
  const note = (stream: 'stdout' | 'stderr', line: string): void => {
    if (lines.push(line) > LAST_LINES) lines.shift()
    options.print(stream, line)
  }
  readLines(child.stdout, (line) => note('stdout', line))
  readLines(child.stderr, (line) => note('stderr', line))
  try {
    const how = await new Promise<string | undefined>((done, reject) => {
      child.once('error', reject)
      child.once('exit', () => (child.stdio[3] as Writable | null)?.end('done\n'))
      child.once('close', (code, by) =>
        done(code === 0 ? undefined : `ended with ${by ?? `exit code ${code}`}`),
      )
    }).catch((error: unknown) => `could not be started: ${error instanceof Error ? error.message : ''}`)
    if (how !== undefined) throw await failure(options, how, lines)
  } finally {
    signal.removeEventListener('abort', end)
    process.removeListener('exit', end)
  }
}

/** Its first act watches a pipe of ours: when that ends without a word, we have been killed, and the whole group goes with us. */
const WATCHED = `(read word <&3 || kill -KILL 0) >/dev/null 2>&1 &
exec 3<&-
eval "$1"`

function start({ command, cwd, purpose }: CustomBuildOptions): ChildProcessByStdio<null, Readable, Readable> {
  const env = { ...process.env, WRANGLER_COMMAND: purpose }
  if (process.platform === 'win32')
    return spawn(command, { shell: true, cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const child = spawn('/bin/sh', ['-c', WATCHED, 'sh', command], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    // A group of its own: what the command started ends with it.
    detached: true,
  })
  // It may be gone before it hears that it is done.
  child.stdio[3]?.on('error', () => undefined)
  return child as ChildProcessByStdio<null, Readable, Readable>
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

async function failure(options: CustomBuildOptions, how: string, lines: readonly string[]): Promise<Error> {
  const { command } = options
  const name = command.length > COMMAND_MAX ? `${command.slice(0, COMMAND_MAX)}…` : command
  const words = lines.filter((line) => line.trim() !== '').join(' ⏎ ')
  const fault = await faultAt(options.origin, ['build', 'command'], {
    message: `the build command "${name}" ${how}`,
    hint: words === '' ? 'It printed nothing.' : `It said last: ${words}`,
  })
  return buildError([fault])
}

function readLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) onLine(part.replace(/\r$/, ''))
  })
  stream.on('end', () => {
    if (rest !== '') onLine(rest)
  })
  stream.on('error', () => undefined)
}

/** Folders that hold nothing a person edits. */
const SKIPPED = new Set(['node_modules', '.git', '.wrangler', '.flexi'])

async function stampOf(folders: readonly AbsolutePath[]): Promise<Stamp> {
  const stamp = new Map<string, string>()
  await Promise.all(folders.map((folder) => addBelow(folder, stamp)))
  return stamp
}

/** `above` are the folders that it lies in: a link to one of them leads around in circles. */
async function addBelow(
  path: string,
  stamp: Map<string, string>,
  above: readonly string[] = [],
): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isDirectory()) {
    stamp.set(path, `${found.mtimeMs} ${found.size}`)
    return
  }
  const id = `${found.dev}:${found.ino}`
  if (above.includes(id)) return
  const names = await readdir(path).catch(() => [])
  await Promise.all(
    names
      .filter((name) => !SKIPPED.has(name))
      .map((name) => addBelow(join(path, name), stamp, [...above, id])),
  )
}

function differences(before: Stamp, after: Stamp): readonly string[] {
  const changed = [...after].filter(([path, text]) => before.get(path) !== text).map(([path]) => path)
  return [...changed, ...[...before.keys()].filter((path) => !after.has(path))]
}
