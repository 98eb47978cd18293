import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '../..')
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flexi-crash-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true })
})

describe('a killed daemon', () => {
  test('has all that it acknowledged, whenever it is killed; npm run soak does this a thousand times', async () => {
    const soak = [join(ROOT, 'scripts/soak.js'), '--kills', '8', '--directory', directory]
    const { stdout } = await run(process.execPath, soak)
    expect(stdout).toMatch(/^8 kills in .*: nothing acknowledged was lost$/m)
    expect(Number(/(\d+) steps acknowledged/.exec(stdout)?.[1])).toBeGreaterThan(5)
  }, 60_000)
})

const strace = await run('strace', ['-V']).then(
  () => '',
  () => ' (strace is not installed)',
)

describe('a machine that loses its power', () => {
  test.skipIf(strace !== '')(
    `has it too: no step is acknowledged before its bytes were sent to the disk${strace}`,
    async () => {
      const log = join(directory, 'trace')
      await traceUntil('"done":{"step":"token"', log)
      const steps = new Map<string, number[]>()
      let syncs = 0
      for (const line of (await readFile(log, 'utf8')).split('\n')) {
        if (/\bf(data)?sync(\(| resumed>).*= 0$/.test(line)) syncs++
        const [, what, step = ''] = /write\(1, "\{\\"(begin|done)\\":\{\\"step\\":\\"(\w+)/.exec(line) ?? []
        if (what === 'begin') syncs = 0
        if (what === 'done') steps.set(step, [...(steps.get(step) ?? []), syncs])
      }
      expect([...steps.keys()]).toEqual(
        expect.arrayContaining(['artifact', 'unpack', 'switch', 'secret', 'token']),
      )
      for (const step of ['artifact', 'unpack', 'switch', 'secret', 'token'])
        expect([step, Math.min(...(steps.get(step) ?? []))]).toEqual([
          step,
          expect.toSatisfy((least) => Number(least) >= 1),
        ])
    },
    60_000,
  )
})

/** Runs the worker under strace until it says so. */
async function traceUntil(said: string, log: string): Promise<void> {
  const trace = [
    '-f',
    '-qq',
    '-s',
    '200',
    '-e',
    'trace=fsync,fdatasync,write',
    '-e',
    'signal=none',
    '-o',
    log,
  ]
  const worker = [process.execPath, join(ROOT, 'scripts/soak-worker.js'), join(directory, 'data'), 'r']
  const child = spawn('strace', [...trace, ...worker], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.includes(said)) continue
    // Not strace itself: it still has to write what it saw.
    const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
    for (const pid of children.trim().split(' ')) process.kill(Number(pid), 'SIGKILL')
    break
  }
  child.stdout.resume()
  await closed
}
