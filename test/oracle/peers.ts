import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

import { describe, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const WRANGLER = join(ROOT, 'bench/peers/node_modules/wrangler/wrangler-dist/cli.js')
const FIXTURES = join(ROOT, 'test/fixtures/workers')

/** Tests that need wrangler; without it one skipped test says so in place of hundreds. */
export function describeWithOracle(name: string, body: () => void): void {
  if (existsSync(WRANGLER))
    describe(name, () => {
      body()
    })
  else test.skip(`${name} (wrangler is not installed in bench/peers)`)
}

export interface Peer extends AsyncDisposable {
  readonly name: 'wrangler' | 'flexi'
  readonly origin: string
  readonly directory: string
  /** Everything printed so far, both streams, without colours. */
  output(): string
}

/** A folder (of the fixtures, or anywhere), or text by path. */
export type ProjectFiles = string | Readonly<Record<string, string>>

export interface PeerOptions {
  /** Arguments of `wrangler dev`. */
  readonly wrangler?: readonly string[] | undefined
  /** Arguments of `flexi dev`. */
  readonly flexi?: readonly string[] | undefined
  readonly environment?: NodeJS.ProcessEnv | undefined
}

/** One fixture, in a fresh folder each, served by both. */
export interface Pair extends AsyncDisposable {
  readonly wrangler: Peer
  readonly flexi: Peer
}

export async function startPair(fixture: ProjectFiles, options: PeerOptions = {}): Promise<Pair> {
  const [wrangler, flexi] = await Promise.allSettled([
    startWrangler(fixture, options),
    startFlexi(fixture, options),
  ])
  if (wrangler.status === 'fulfilled' && flexi.status === 'fulfilled')
    return pairOf(wrangler.value, flexi.value)
  for (const one of [wrangler, flexi]) if (one.status === 'fulfilled') await one.value[Symbol.asyncDispose]()
  throw wrangler.status === 'rejected' ? wrangler.reason : flexi.status === 'rejected' && flexi.reason
}

function pairOf(wrangler: Peer, flexi: Peer): Pair {
  return {
    wrangler,
    flexi,
    async [Symbol.asyncDispose]() {
      await Promise.all([wrangler[Symbol.asyncDispose](), flexi[Symbol.asyncDispose]()])
    },
  }
}

async function startWrangler(
  fixture: ProjectFiles,
  { wrangler = [], environment }: PeerOptions,
): Promise<Peer> {
  const args = [
    '--no-warnings',
    '--experimental-vm-modules',
    WRANGLER,
    'dev',
    '--port',
    '0',
    '--ip',
    '127.0.0.1',
    // Its debugger's port is 9229 unless another is named, and one of two at a time would fail.
    '--inspector-port',
    '0',
    ...wrangler,
  ]
  return startPeer({ name: 'wrangler', fixture, args, environment, ready: /Ready on (http:\/\/[\w.:]+)/ })
}

/** The real command line. */
export async function startFlexi(
  fixture: ProjectFiles,
  { flexi = [], environment }: PeerOptions = {},
): Promise<Peer> {
  const args = [join(ROOT, 'bin/run.js'), 'dev', '--port', '0', ...flexi]
  return startPeer({ name: 'flexi', fixture, args, environment, ready: /➜ +(http:\/\/[\w.:]+)/ })
}

interface Start {
  readonly name: Peer['name']
  readonly fixture: ProjectFiles
  readonly args: readonly string[]
  readonly environment: NodeJS.ProcessEnv | undefined
  /** The address is its first group. */
  readonly ready: RegExp
}

const START_MS = 30_000

async function startPeer({ name, fixture, args, environment, ready }: Start): Promise<Peer> {
  const parent = await mkdtemp(join(tmpdir(), 'flexi-test-'))
  const directory = join(parent, 'project')
  await lay(fixture, directory)
  await symlink(join(ROOT, 'node_modules'), join(parent, 'node_modules'))
  // One pipe for both streams: the order of lines is compared too.
  const child = spawn('sh', ['-c', 'exec "$0" "$@" 2>&1', process.execPath, ...args], {
    cwd: directory,
    env: { ...peerEnvironment(parent), ...environment },
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  })
  let text = ''
  const output = (): string => stripVTControlCharacters(text)
  const stop = async (): Promise<void> => {
    await end(child)
    await rm(parent, { recursive: true, force: true, maxRetries: 3 })
  }
  try {
    const origin = await new Promise<string>((started, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${name} is not ready in ${START_MS} ms:\n${output()}`)),
        START_MS,
      )
      const look = (chunk: string): void => {
        text += chunk
        const [, url] = ready.exec(output()) ?? []
        if (url === undefined) return
        clearTimeout(timer)
        started(url)
      }
      child.stdout.setEncoding('utf8').on('data', look)
      child.once('exit', (code) => reject(new Error(`${name} ended with ${code}:\n${output()}`)))
    })
    return { name, origin, directory, output, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function lay(from: ProjectFiles, directory: string): Promise<void> {
  if (typeof from === 'string') {
    const filter = (source: string): boolean =>
      !source.includes('/node_modules') && !source.includes('/.flexi')
    return cp(resolve(FIXTURES, from), directory, { recursive: true, filter })
  }
  for (const [path, text] of Object.entries(from)) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), text)
  }
}

/** Nothing of this machine's settings, and nobody else's workers. */
function peerEnvironment(parent: string): NodeJS.ProcessEnv {
  const { CLOUDFLARE_ENV: _, NODE_OPTIONS: __, ...inherited } = process.env
  return {
    ...inherited,
    CI: '1',
    NO_COLOR: '1',
    FORCE_COLOR: '0',
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_HIDE_BANNER: 'true',
    WRANGLER_REGISTRY_PATH: join(parent, 'registry'),
    XDG_CONFIG_HOME: join(parent, 'config'),
  }
}

async function end(child: ChildProcess): Promise<void> {
  const { pid } = child
  if (pid === undefined) return
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
    await exited
    clearTimeout(timer)
  }
  try {
    // Both lead a group of their own: whatever workerd is left goes too.
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nothing is left.
  }
}
