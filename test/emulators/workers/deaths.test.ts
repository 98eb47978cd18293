import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, stat as statOf, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { cleanRuns, openRunFolder } from '../../../src/emulators/workers/run-folder.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { startFlexi, type FlexiProcess } from '../../app/flexi-process.ts'
import { MINIMAL, write } from './serve.ts'

const isLinux = process.platform === 'linux'
const KEPT = MINIMAL.replace('}', ', "kv_namespaces": [{ "binding": "KV", "id": "1" }] }')
const CODE = `export default { async fetch(request: Request, env: any) {
  const { pathname } = new URL(request.url)
  if (pathname === '/slow') await scheduler.wait(400)
  if (pathname === '/put') await env.KV.put('key', 'kept')
  return new Response(env.KV === undefined ? 'bare' : String(await env.KV.get('key')))
} }`

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flexi-test-'))
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

async function lay(config: string): Promise<void> {
  await write(directory, { 'wrangler.jsonc': config, 'index.ts': CODE })
}

async function ask(flexi: FlexiProcess, path: string): Promise<string> {
  const [response] = (await once(get(new URL(path, flexi.url)), 'response')) as [NodeJS.ReadableStream]
  return text(response)
}

/** Processes whose command line holds this word. */
async function processesWith(word: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const { readFile } = await import('node:fs/promises')
  const lines = await Promise.all(
    pids.map(async (pid) => ({ pid, line: await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') })),
  )
  return lines.filter(({ line }) => line.includes(word)).map(({ pid }) => Number(pid))
}

test.each([
  ['of its own', MINIMAL],
  ['of miniflare’s', KEPT],
])(
  'a request under way in a runtime %s is answered before a signal ends flexi, which leaves with 0 and nothing behind',
  async (_, config) => {
    await lay(config)
    await using flexi = await startFlexi(directory)
    await ask(flexi, '/')
    const slow = ask(flexi, '/slow')
    await expect.poll(() => ask(flexi, '/')).toMatch(/bare|null/)
    flexi.signal('SIGTERM')
    expect(await slow).toMatch(/bare|null/)
    expect(await flexi.exited).toEqual({ code: 0, signal: null })
    expect(flexi.events.map(({ event }) => event)).not.toContain('fault')
    const [version = ''] = await readdir(join(directory, '.flexi/workers'))
    expect(await readdir(join(directory, '.flexi/workers', version, 'run'))).toEqual([])
  },
  20_000,
)

test.runIf(isLinux)(
  'a runtime of its own ends with flexi whatever ends it (only where the kernel does it), and the next start removes its folder',
  async () => {
    await lay(MINIMAL)
    await using flexi = await startFlexi(directory)
    await ask(flexi, '/')
    expect(await processesWith(directory)).toHaveLength(2)
    flexi.signal('SIGKILL')
    await flexi.exited
    await expect.poll(() => processesWith(directory), { timeout: 5000 }).toEqual([])
    const [version = ''] = await readdir(join(directory, '.flexi/workers'))
    const runs = join(directory, '.flexi/workers', version, 'run')
    expect(await readdir(runs)).toHaveLength(1)
    await using again = await startFlexi(directory)
    expect(await ask(again, '/')).toBe('bare')
    await expect.poll(() => readdir(runs)).toEqual([expect.stringMatching(`^${again.pid}-`)])
  },
  20_000,
)

test('two of flexi in one folder answer at a time, on the same stored data', async () => {
  await lay(KEPT)
  const both = await Promise.all([startFlexi(directory), startFlexi(directory)])
  await using one = both[0]
  await using other = both[1]
  await ask(one, '/put')
  expect(await ask(one, '/')).toBe('kept')
  expect(await ask(other, '/')).toBe('kept')
}, 30_000)

test('a process whose owner is gone is ended, and its folder removed; those of others stay', async () => {
  const runs = join(directory, 'run')
  const orphan = spawn('sleep', ['60'])
  const gone = spawn('true')
  await once(gone, 'exit')
  const since = async (pid: number | undefined): Promise<string> => {
    const { readFile } = await import('node:fs/promises')
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  }
  if (!isLinux) return void orphan.kill()
  const workerd = { pid: orphan.pid, since: await since(orphan.pid) }
  const lay2 = async (name: string, note: unknown): Promise<void> => {
    await mkdir(join(runs, name), { recursive: true })
    await writeFile(join(runs, name, 'process.json'), JSON.stringify(note))
  }
  await lay2(`${gone.pid}-a`, { owner: { pid: gone.pid, since: '1' }, workerd })
  await lay2(`${process.pid}-b`, {
    owner: { pid: process.pid, since: await since(process.pid) },
    workerd: { pid: process.pid, since: '1' },
  })
  await mkdir(join(runs, `${process.pid}-starting`))
  await mkdir(join(runs, '0e4c-of-an-older-flexi'), { recursive: true })
  const ended = once(orphan, 'exit')
  await cleanRuns(runs)
  expect(await ended).toEqual([null, 'SIGKILL'])
  expect((await readdir(runs)).toSorted()).toEqual([`${process.pid}-b`, `${process.pid}-starting`])
})

test.runIf(isLinux)(
  'Ctrl-C of the terminal, which every process of its group gets, is no crash of the runtime',
  async () => {
    await lay(KEPT)
    const run = join(import.meta.dirname, '../../../bin/run.js')
    const child = spawn(process.execPath, [run, 'dev', directory, '--port', '0'], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
    await expect.poll(() => said, { timeout: 10_000 }).toMatch(/http:\/\/127[^]*ROUTE/)
    process.kill(-(child.pid ?? 0), 'SIGINT')
    const [code] = (await once(child, 'exit')) as [number]
    expect(code).toBe(0)
    expect(said).not.toMatch(/crash/i)
  },
  20_000,
)

test('what a runtime is told, secrets too, is for nobody else of the machine', async () => {
  const folder = await openRunFolder(join(directory, 'state') as AbsolutePath)
  expect((await statOf(folder.path)).mode & 0o077).toBe(0)
  await folder.remove()
})
