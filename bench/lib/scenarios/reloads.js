import { setTimeout as sleep } from 'node:timers/promises'

import { startClient } from '../clients.js'
import { memoryOf } from '../process-tree.js'
import { percentile } from '../statistics.js'
import { count, milliseconds } from '../table.js'
import { judge } from '../verdict.js'
import { Watcher } from '../watcher.js'
import { measureEach } from './line-up.js'
import { saveOnce } from './reload.js'

/** Between an answer and the next save. */
const PAUSE_MS = 20
/** Standby processes and drains of the last reload settle before memory is read. */
const SETTLE_MS = 3_000
const GROWTH_TARGET = { atMost: 20 }

/**
 * Many saves in a row: memory after the first few and after the last, failed requests, processes left.
 * `plan` is `{ rows, full, quick, crowd }`: the servers, `{ first, last }` save at which memory is read, and for a crowd that asks
 * meanwhile its `{ connections, websockets, bodies }`.
 */
export async function reloads(plan, context, where) {
  const found = await measureEach(plan.rows, context, (server) => measure(plan, server, context), where)
  return report([...found.values()])
}

async function measure(plan, server, { quick, progress, note }) {
  const { first, last } = quick ? plan.quick : plan.full
  const watcher = new Watcher(server.url, server.body)
  const crowd = startCrowd(plan.crowd, server)
  const times = []
  let early
  let crowded
  try {
    for (let n = 1; n <= last; n += 1) {
      if (n % 10 === 0) progress(`${server.label}: save ${n} of ${last}`)
      times.push(await saveOnce(server, watcher, n))
      await sleep(PAUSE_MS)
      if (n === first) early = await settledMemory(server)
    }
    const late = await settledMemory(server)
    crowded = await crowd.finish()
    const failures = watcher.failures + crowded.failures + crowded.brokenWebSockets
    const texts = [...watcher.failureTexts, ...crowded.failureTexts]
    if (failures > 0) note(`${server.label}: ${failures} requests failed: ${texts.join(' · ')}`)
    if (crowded.echoes > 0)
      note(`${server.label}: ${count(crowded.echoes)} WebSocket echoes, ${crowded.brokenWebSockets} broken`)
    return { times, early, late, failures, requests: watcher.requests + crowded.requests, first, last }
  } finally {
    await watcher.stop()
    if (crowded === undefined) await crowd.finish()
  }
}

const NO_CROWD = { requests: 0, failures: 0, failureTexts: [], echoes: 0, brokenWebSockets: 0 }

function startCrowd(crowd, { url }) {
  if (crowd === undefined) return { finish: () => Promise.resolve(NO_CROWD) }
  return startClient('crowd.js', [url, crowd.connections, crowd.websockets, ...crowd.bodies])
}

async function settledMemory(server) {
  await sleep(SETTLE_MS)
  return memoryOf(server.pid)
}

function report(measured) {
  const data = []
  const rows = measured.map(({ server, ...each }) => {
    const growth = (each.late.rssMb / each.early.rssMb - 1) * 100
    const never = each.times.filter((time) => time === undefined).length
    const verdict = verdictOf({ ...each, growth, never })
    data.push({ server: server.id, ...each, growth, never, verdict })
    const answers = each.times.map((time) => time ?? Infinity)
    return [
      server.label,
      `${each.first} → ${each.last}`,
      `${count(each.early.rssMb)} → ${count(each.late.rssMb)}`,
      `${growth.toFixed(1)} %`,
      `${each.early.processes} → ${each.late.processes}`,
      count(each.leftBehind),
      `${each.failures} of ${each.requests}`,
      count(never),
      milliseconds(percentile(answers, 0.5)),
      milliseconds(percentile(answers, 0.95)),
      '≤ 20 %, 0 left, 0 failed',
      verdict,
    ]
  })
  return { columns: COLUMNS, rows, data }
}

const COLUMNS = [
  'server',
  'saves',
  'RSS MB',
  'growth',
  'processes',
  'left behind',
  'failed requests',
  'never seen',
  'p50 ms',
  'p95 ms',
  'target',
  'verdict',
]

function verdictOf({ growth, leftBehind, failures, never, early, late }) {
  const faults = [
    judge(growth, GROWTH_TARGET) === 'met' ? '' : `grew by ${growth.toFixed(0)} %`,
    leftBehind === 0 ? '' : `${leftBehind} left behind`,
    late.processes <= early.processes ? '' : `${late.processes - early.processes} more processes`,
    failures === 0 ? '' : `${failures} failed`,
    never === 0 ? '' : `${never} never seen`,
  ].filter((each) => each !== '')
  return faults.length === 0 ? 'met' : `missed: ${faults.join(', ')}`
}
