import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import type { DevEvent } from '../../src/core/events.ts'

export const ROOT = join(import.meta.dirname, '../..')
const RUN = join(ROOT, 'bin/run.js')

/** The real command line, as a person starts it, with its event stream. */
export interface FlexiProcess extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  readonly events: readonly DevEvent[]
  readonly stderr: () => string
  /** The first event that fits, past or to come. */
  event<E extends DevEvent['event']>(
    kind: E,
    fits?: (event: Extract<DevEvent, { event: E }>) => boolean,
  ): Promise<Extract<DevEvent, { event: E }>>
  /** Forgets what has happened, so that `event` waits for something new. */
  forget(): void
  signal(name: NodeJS.Signals): void
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
}

export async function startFlexi(
  directory: string,
  args: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
): Promise<FlexiProcess> {
  const child = spawn(process.execPath, [RUN, 'dev', directory, '--json', '--port', '0', ...args], {
    cwd: directory,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const events: DevEvent[] = []
  const waiting = new Set<() => void>()
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  createInterface({ input: child.stdout }).on('line', (line) => {
    events.push(JSON.parse(line) as DevEvent)
    for (const look of waiting) look()
  })
  const exited = exitOf(child)
  const wait = <E extends DevEvent['event']>(
    kind: E,
    fits: (event: Extract<DevEvent, { event: E }>) => boolean = () => true,
  ) =>
    new Promise<Extract<DevEvent, { event: E }>>((resolve, reject) => {
      const look = (): void => {
        const found = events.find(
          (event): event is Extract<DevEvent, { event: E }> => event.event === kind && fits(event as never),
        )
        if (found === undefined) return
        settle()
        resolve(found)
      }
      const settle = (): void => {
        waiting.delete(look)
        clearTimeout(timer)
      }
      const timer = setTimeout(() => {
        settle()
        reject(new Error(`no ${kind} event in 15 s; saw ${JSON.stringify(events.slice(-8))}\n${stderr}`))
      }, 15_000)
      void exited.then(({ code }) => (settle(), reject(new Error(`flexi ended with ${code}\n${stderr}`))))
      waiting.add(look)
      look()
    })
  const ready = await wait('ready')
  return {
    url: ready.url,
    pid: child.pid ?? 0,
    events,
    stderr: () => stderr,
    event: wait,
    forget: () => void events.splice(0),
    signal: (name) => void child.kill(name),
    exited,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 8_000)
      await exited
      clearTimeout(timer)
    },
  }
}

async function exitOf(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  return { code, signal }
}

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** One command of the real command line, run to its end. */
export async function runFlexi(
  args: readonly string[],
  options: { readonly cwd?: string; readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  const child = spawn(process.execPath, [RUN, ...args], {
    cwd: options.cwd,
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    stdio: 'pipe',
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  child.stdin.end(options.input ?? '')
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string
}

/** A folder that is gone after the test; filled from another when one is named. */
export async function temporaryFolder(from?: string): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), 'flexi-test-'))
  if (from !== undefined)
    await cp(from, path, {
      recursive: true,
      filter: (source) => !source.includes('/.flexi') && !source.includes('/node_modules'),
    })
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) }
}
