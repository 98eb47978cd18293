import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll } from 'vitest'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const RUN = join(ROOT, 'bin/run.js')

export interface CliResult {
  readonly exit: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly cwd?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly input?: string
  /** What to run instead of bin/run.js: a link to it, say. */
  readonly script?: string
}

/** Runs the built command line to its end, without a terminal and with a cache of the test's own. */
export async function cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = spawn(process.execPath, [options.script ?? RUN, ...args], {
    cwd: options.cwd ?? ROOT,
    env: environmentOf(options.environment),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.on('error', () => undefined).end(options.input)
  const texts = Promise.all([text(child.stdout), text(child.stderr)])
  const exit = await new Promise<number | null>((resolve) => child.on('close', resolve))
  const [stdout, stderr] = await texts
  return { exit, stdout, stderr }
}

/** The environment of a person's shell: without what vitest sets, which other programs read. */
function environmentOf(more: CliOptions['environment']): NodeJS.ProcessEnv {
  const set = new Set(['FORCE_COLOR', 'NODE_ENV', 'PORT', 'HOST', 'VITEST'])
  const own = Object.entries(process.env).filter(([name]) => !set.has(name))
  return { ...Object.fromEntries(own), FLEXI_CACHE_DIR: CACHE, ...more }
}

const CACHE = mkdtempSync(join(tmpdir(), 'flexi-cache-'))
afterAll(() => rmSync(CACHE, { recursive: true, force: true }))

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let whole = ''
  for await (const chunk of stream.setEncoding('utf8')) whole += chunk
  return whole
}
