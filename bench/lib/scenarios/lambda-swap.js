import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { scratchFolder } from '../scratch.js'
import { percentile } from '../statistics.js'
import { milliseconds } from '../table.js'
import { judge, targetText } from '../verdict.js'

const SAVES = { full: 60, quick: 15 }
const TARGET = { atMost: 10 }
/** A person saves no faster, and the next spare process is ready by then. */
const PAUSE_MS = 250

/** The parts of a reload behind the watcher: the build, and from its end to the first answer of the new code. */
export async function lambdaSwap({ quick, progress }) {
  const open = await opener()
  const samples = []
  const opened = await open()
  const saves = quick ? SAVES.quick : SAVES.full
  try {
    for (let n = 1; n <= saves + 3; n += 1) {
      progress(`save ${n} of ${saves}`)
      samples.push(await opened.save(n))
      await sleep(PAUSE_MS)
    }
  } finally {
    await opened.close()
  }
  const kept = samples.slice(3)
  const columns = ['part', 'p50 ms', 'p95 ms', 'target p50', 'verdict']
  const of = (part) => kept.map((each) => each[part])
  const row = (label, part, target) => [
    label,
    milliseconds(percentile(of(part), 0.5)),
    milliseconds(percentile(of(part), 0.95)),
    targetText(target, 'ms'),
    judge(percentile(of(part), 0.5), target),
  ]
  const rows = [
    row('build', 'buildMs'),
    row('bundle there → new code loaded', 'loadMs'),
    row('bundle there → first answer of it', 'answerMs', TARGET),
  ]
  return { columns, rows, data: kept }
}

/** The pool and the emulator themselves, without a server and a watcher around them. */
async function opener() {
  const dist = (path) => import(new URL(`../../../dist/${path}`, import.meta.url).href)
  const { lambda } = await dist('emulators/lambda/index.js')
  const { Pool } = await dist('instances/pool.js')
  const { silentLogger } = await dist('core/log.js')
  return () => openOne({ lambda, Pool, log: silentLogger })
}

async function openOne({ lambda, Pool, log }) {
  const directory = scratchFolder('lambda-swap')
  const file = join(directory, 'hello.ts')
  mkdirSync(join(directory, '.flexi'), { recursive: true })
  const nothing = () => undefined
  const scope = { log, mode: 'dev', stateDirectory: join(directory, '.flexi'), threads: 1, endpoints: () => ({ origin: undefined }), output: nothing, report: nothing } // prettier-ignore
  const config = { name: 'hello', provider: 'lambda', directory, origin: { file, line: 1, column: 1 }, environment: {}, options: { handler: 'hello.handler' } } // prettier-ignore
  write(file, 0)
  const source = await lambda.open(config, scope)
  const pool = new Pool({ name: 'hello', log })
  const invoke = () => pool.invoke(Buffer.from('{}'), { id: crypto.randomUUID(), deadline: Date.now() + 3_000, signal: new AbortController().signal, unlogged: true }) // prettier-ignore
  await pool.replace(await source.build())
  await invoke()
  return {
    async save(n) {
      write(file, n)
      const before = performance.now()
      const code = await source.build()
      const built = performance.now()
      await pool.replace(code)
      const loaded = performance.now()
      const { payload } = await invoke()
      const answered = performance.now()
      if (JSON.parse(Buffer.from(payload).toString()).save !== n) throw new Error('an answer of the old code')
      return { buildMs: built - before, loadMs: loaded - built, answerMs: answered - built }
    },
    async close() {
      await pool[Symbol.asyncDispose]()
      await source[Symbol.asyncDispose]()
    },
  }
}

function write(file, n) {
  writeFileSync(file, `export const handler = async (): Promise<object> => ({ ok: true, save: ${n} })\n`)
}
