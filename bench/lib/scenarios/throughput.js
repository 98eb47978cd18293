import { setTimeout as sleep } from 'node:timers/promises'

import { drive, timeEveryRequest } from '../load.js'
import { cpuSecondsOf, memoryOf } from '../process-tree.js'
import { median, spread } from '../statistics.js'
import { count, milliseconds, percent, ratio } from '../table.js'
import { judge, targetText } from '../verdict.js'
import { ratioTo, withLineUp } from './line-up.js'

const FULL = { rounds: 5, seconds: 4, warmUpSeconds: 2, singleSeconds: 5 }
const QUICK = { rounds: 2, seconds: 1, warmUpSeconds: 1, singleSeconds: 1 }
const SETTLE_MS = 1_000
/** Between two servers: what the last one still has to finish is not the next one's load. */
const BREATH_MS = 300
const CONNECTIONS = 32

/**
 * Requests a second and latency of one flexi function beside others. All servers run from the start;
 * the load goes round them, so that a slow minute of the machine meets all.
 * `plan.rows` are `[server, target of flexi's rate as a multiple of this one's]`; the first is flexi.
 */
export async function throughput(plan, context) {
  const sizes = context.quick ? QUICK : FULL
  const ids = plan.rows.map(([id]) => id)
  return withLineUp(ids, context, async (started) =>
    report(plan, await measureAll(started, sizes, context), context),
  )
}

async function measureAll(started, sizes, context) {
  await sleep(SETTLE_MS)
  const all = started.map((server) => ({ server, idle: memoryOf(server.pid), one: [], many: [] }))
  const load = async ({ server }, connections, seconds) => {
    await sleep(BREATH_MS)
    const cpuBefore = cpuSecondsOf(server.pid)
    const run = await drive(server.url, { connections, seconds }).catch((error) =>
      failedLoad(server, error, context),
    )
    const cpuSeconds = cpuSecondsOf(server.pid) - cpuBefore
    return { ...run, cpuSeconds, cpuMicrosPerRequest: (cpuSeconds * 1e6) / (run.requestsPerSecond * seconds) }
  }
  for (const each of all) {
    context.progress(`warm up ${each.server.label}`)
    await load(each, CONNECTIONS, sizes.warmUpSeconds)
  }
  for (let round = 1; round <= sizes.rounds; round += 1) {
    for (const each of all) {
      context.progress(`round ${round} of ${sizes.rounds}: ${each.server.label}`)
      each.one.push(await load(each, 1, sizes.seconds))
      each.many.push(await load(each, CONNECTIONS, sizes.seconds))
    }
  }
  for (const each of all) {
    context.progress(`time every request of ${each.server.label}`)
    each.single = await timeEveryRequest(each.server.url, sizes.singleSeconds).catch((error) => {
      failedLoad(each.server, error, context)
      return {}
    })
    each.loaded = memoryOf(each.server.pid)
  }
  return all
}

/** A server that fails under load is a result, not the end of the run. */
function failedLoad(server, error, { note }) {
  note(`${server.label}: the load failed: ${error.stderr?.trim().split('\n').at(-1) ?? error.message}`)
  return { requestsPerSecond: 0, p50Ms: undefined, p99Ms: undefined, failures: 1 }
}

function report(plan, measured, { note }) {
  const summaries = new Map(measured.map((each) => [each.server.id, summaryOf(each)]))
  const [flexiId] = plan.rows[0]
  const flexi = summaries.get(flexiId)
  const data = []
  const rows = plan.rows.flatMap(([id, target]) => {
    const each = summaries.get(id)
    if (each === undefined) return []
    const multiple = id === flexiId ? undefined : ratioTo(flexi?.rate, each.rate)
    const verdict = verdictOf(flexi, multiple, target)
    if (each.failures > 0) note(`${each.server.label}: ${each.failures} requests of the load failed`)
    data.push({ ...each, server: id, multiple, target, verdict })
    return [[...cellsOf(each), ratio(multiple), targetText(target, '×'), verdict]]
  })
  return { columns: COLUMNS, rows, data }
}

function summaryOf(each) {
  const failures = [...each.one, ...each.many].reduce((total, run) => total + run.failures, 0)
  return { ...each, failures, rate: median(each.many.map((run) => run.requestsPerSecond)) }
}

/** Errors are quickly made: a rate with failed requests in it meets no target. */
function verdictOf(flexi, multiple, target) {
  if (target !== undefined && flexi?.failures > 0) return `missed: ${flexi.failures} requests failed`
  return judge(multiple, target)
}

const COLUMNS = [
  'server',
  'c=1 req/s',
  'p50 ms',
  'p99 ms *',
  'c=32 req/s',
  'p50 ms',
  'p99 ms †',
  'CPU µs/req',
  'idle MB',
  'after MB',
  'flexi ÷ this',
  'target',
  'verdict',
]

function cellsOf({ server, one, many, single, idle, loaded, rate }) {
  const of = (runs, field) => median(runs.map((run) => run[field]))
  return [
    server.label,
    count(of(one, 'requestsPerSecond')),
    milliseconds(single.p50Ms),
    milliseconds(single.p99Ms),
    count(rate) + percent(spread(many.map((run) => run.requestsPerSecond))),
    milliseconds(of(many, 'p50Ms')),
    milliseconds(of(many, 'p99Ms')),
    count(of(many, 'cpuMicrosPerRequest')),
    count(idle.rssMb),
    count(loaded.rssMb),
  ]
}
