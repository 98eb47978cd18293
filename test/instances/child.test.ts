import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { expect, test } from 'vitest'

import { startChild } from '../../src/instances/child.ts'
import { residentBytes, watchMemory } from '../../src/instances/memory.ts'

const environment = { PATH: process.env['PATH'] ?? '' }
const node = process.execPath

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** A reaped or zombie process runs no more; on some systems its number stays visible for a moment. */
async function running(pid: number): Promise<boolean> {
  if (!alive(pid)) return false
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
  return !/\) Z/.test(stat)
}

test('lines come without their ends, the last one too, and the environment is only what was given', async () => {
  const lines: string[] = []
  const code = `process.stdout.write('a\\r\\nb\\n'); process.stderr.write('e'); process.stdout.write(Object.keys(process.env).join())`
  const child = startChild({
    command: node,
    args: ['-e', code],
    environment: { ONLY: '1' },
    onLine: (stream, text) => lines.push(`${stream}:${text}`),
  })
  expect(await child.exited).toEqual({ code: 0, signal: null, error: undefined })
  expect(lines.toSorted()).toEqual(['stderr:e', 'stdout:ONLY', 'stdout:a', 'stdout:b'])
})

test('a command that does not exist is an exit with an error, not a crash of ours', async () => {
  const child = startChild({
    command: '/nonexistent/program',
    args: [],
    environment,
    onLine: () => undefined,
  })
  const exit = await child.exited
  expect(exit.error !== undefined || exit.code !== 0).toBe(true)
})

test('kill ends what the child started, too', async () => {
  let grandchild = 0
  const code = `const c = require('node:child_process').spawn('sleep', ['60']); console.log(c.pid); setInterval(() => {}, 1000)`
  const child = startChild({
    command: node,
    args: ['-e', code],
    environment,
    onLine: (_stream, text) => (grandchild = Number(text)),
  })
  await expect.poll(() => grandchild).toBeGreaterThan(0)
  child.kill()
  expect((await child.exited).signal).toBe('SIGKILL')
  await expect.poll(() => running(grandchild)).toBe(false)
})

test.skipIf(process.platform !== 'linux')(
  'a child does not outlive a parent that was killed, even in an endless loop',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'flexi-test-'))
    const script = join(directory, 'parent.mjs')
    const module = pathToFileURL(join(import.meta.dirname, '../../dist/instances/child.js')).href
    await writeFile(
      script,
      `import { startChild } from '${module}'
     const child = startChild({ command: process.execPath, args: ['-e', 'console.log("up"); for (;;);'], environment: {}, onLine: () => console.log(child.pid) })
     setInterval(() => {}, 1000)`,
    )
    const parent = spawn(node, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const pid = await new Promise<number>((resolve) =>
      parent.stdout.once('data', (data: Buffer) => resolve(Number(data.toString()))),
    )
    expect(await running(pid)).toBe(true)
    parent.kill('SIGKILL')
    await expect.poll(() => running(pid), { timeout: 5000 }).toBe(false)
    await rm(directory, { recursive: true })
  },
)

test.skipIf(process.platform !== 'linux')(
  'memory past the limit is noticed while the process still grows',
  async () => {
    const code = `const keep = []; setInterval(() => keep.push(Buffer.alloc(8e6, 1)), 5)`
    const child = startChild({ command: node, args: ['-e', code], environment, onLine: () => undefined })
    const bytes = await new Promise<number>((resolve) => watchMemory(child.pid ?? 0, 120e6, resolve))
    child.kill()
    await child.exited
    expect(bytes).toBeGreaterThan(120e6)
    expect(await residentBytes(child.pid ?? 0)).toBeUndefined()
  },
)
