import { spawn, type ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { RUN } from './cli.ts'

/** For what another process does, on a machine that does much else. */
export const WAIT = { timeout: 15_000 }

/** `flexi proxy` as a person starts it, with FlexiLib's variables and none of the test's own. */
export interface ProxyProcess extends AsyncDisposable {
  readonly pid: number
  readonly port: number
  readonly url: string
  readonly stdout: () => string
  readonly stderr: () => string
  /** The process that serves now. */
  server(): number
  signal(name: NodeJS.Signals): void
  readonly exit: Promise<number | null>
  text(path: string, init?: RequestInit): Promise<string>
}

export interface ProxyOptions {
  readonly args?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

export async function startProxy(
  directory: string,
  { args = [], environment = {} }: ProxyOptions = {},
): Promise<ProxyProcess> {
  const local = args.includes('--host') ? [] : ['--host', '127.0.0.1']
  const child = spawn(process.execPath, [RUN, 'proxy', ...local, ...args, directory], {
    cwd: directory,
    env: { ...personsEnvironment(), PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const out = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (out.stderr += text))
  const exit = new Promise<number | null>((resolve) => child.on('close', resolve))
  await new Promise<void>((resolve) => {
    child.stderr.on('data', () => {
      if (out.stderr.includes('\npid: ')) resolve()
    })
    void exit.then(() => resolve())
  })
  const port = Number(/^listening on port: (\d+)/m.exec(out.stderr)?.[1])
  if (Number.isNaN(port)) throw new Error(`flexi proxy did not start: ${child.exitCode}\n${out.stderr}`)
  const url = `http://127.0.0.1:${port}`
  return {
    pid: child.pid ?? 0,
    port,
    url,
    stdout: () => out.stdout,
    stderr: () => out.stderr,
    server: () => Number([...out.stderr.matchAll(/^pid: \d+ \(served by (\d+)\)/gm)].at(-1)?.[1]),
    signal: (name) => void child.kill(name),
    exit,
    text: async (path, init) => (await fetch(url + path, init)).text(),
    [Symbol.asyncDispose]: () => end(child, exit),
  }
}

async function end(child: ChildProcess, exit: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM')
  const timer = setTimeout(() => {
    if (child.pid === undefined) return
    for (const pid of descendants(child.pid)) process.kill(pid, 'SIGKILL')
    child.kill('SIGKILL')
  }, 8_000)
  await exit
  clearTimeout(timer)
}

/** Without what vitest sets, which other programs read. */
export function personsEnvironment(): NodeJS.ProcessEnv {
  const set = new Set(['FORCE_COLOR', 'NODE_ENV', 'PORT', 'HOST', 'VITEST'])
  return {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !set.has(name))),
    NO_COLOR: '1',
  }
}

/** Every process that this one started, directly or not, by what `/proc` says. */
export function descendants(pid: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => [Number(name), parentOf(name)] as const)
  const found = [pid]
  for (const one of found) found.push(...parents.filter(([, parent]) => parent === one).map(([own]) => own))
  return found.slice(1)
}

function parentOf(pid: string): number {
  return Number(/^PPid:\s*(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0)
}

/** Resident bytes of a process. */
export function residentMb(pid: number): number {
  return Number(/^VmRSS:\s*(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) / 1024
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^State:\s*Z/m.test(read(`/proc/${pid}/status`))
  } catch {
    return false
  }
}

export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'flexi-proxy-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) }
}
