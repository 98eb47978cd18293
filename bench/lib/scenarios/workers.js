import { setTimeout as sleep } from 'node:timers/promises'

import { drive, timeManyRequests } from '../load.js'
import { cpuSecondsOf, memoryOf } from '../process-tree.js'
import { median, spread } from '../statistics.js'
import { count, milliseconds, percent, ratio } from '../table.js'
import { judge, targetText } from '../verdict.js'
import { ratioTo, withLineUp } from './line-up.js'

const FULL = { rounds: 5, seconds: 4, warmUpSeconds: 2, timedSeconds: 4 }
const QUICK = { rounds: 2, seconds: 1, warmUpSeconds: 1, timedSeconds: 1 }
const BREATH_MS = 300
const CONNECTIONS = 32
const FLEXI = 'flexi-workers'

/** `[server, target of flexi's rate as a multiple of this one's, target of its p99]` */
const ROWS = [
  [FLEXI],
  ['wrangler-dev', { atLeast: 6 }, { atMost: 0.334 }],
  ['workerd', { atLeast: 0.7 }],
  ['miniflare-direct'],
  ['miniflare'],
  ['node-http'],
]

/** Rates by the load tool, latencies of every request by a client of our own. The load goes round the servers, so that a slow minute meets all. */
export function workers(context) {
  return withLineUp(
    ROWS.map(([id]) => id),
    context,
    async (started) => report(await measureAll(started, context), context),
  )
}

async function measureAll(started, context) {
  const sizes = context.quick ? QUICK : FULL
  const all = started.map((server) => ({
    server,
    one: [],
    many: [],
    timedOne: [],
    timedMany: [],
    failures: 0,
  }))
  for (const each of all) {
    context.progress(`warm up ${each.server.label}`)
    await load(each, CONNECTIONS, sizes.warmUpSeconds)
  }
  for (let round = 1; round <= sizes.rounds; round += 1) {
    for (const each of all) {
      context.progress(`round ${round} of ${sizes.rounds}: ${each.server.label}`)
      each.one.push(await load(each, 1, sizes.seconds))
      each.many.push(await load(each, CONNECTIONS, sizes.seconds))
      each.timedOne.push(await time(each, 1, sizes.timedSeconds))
      each.timedMany.push(await time(each, CONNECTIONS, sizes.timedSeconds))
    }
  }
  for (const each of all) each.loaded = memoryOf(each.server.pid)
  return all
}

async function load(each, connections, seconds) {
  await sleep(BREATH_MS)
  const before = cpuSecondsOf(each.server.pid)
  const run = await drive(each.server.url, { connections, seconds })
  const cpuSeconds = cpuSecondsOf(each.server.pid) - before
  each.failures += run.failures
  return { ...run, cpuMicrosPerRequest: (cpuSeconds * 1e6) / (run.requestsPerSecond * seconds) }
}

async function time(each, connections, seconds) {
  await sleep(BREATH_MS)
  const run = await timeManyRequests(each.server.url, { connections, seconds })
  each.failures += run.failures
  return run
}

function report(measured, { note }) {
  const summaries = new Map(measured.map((each) => [each.server.id, summaryOf(each)]))
  const flexi = summaries.get(FLEXI)
  const data = []
  const rows = ROWS.flatMap(([id, rateTarget, p99Target]) => {
    const each = summaries.get(id)
    if (each === undefined) return []
    const isFlexi = id === FLEXI
    const rates = isFlexi ? undefined : ratioTo(flexi?.rate, each.rate)
    const p99s = isFlexi ? undefined : ratioTo(flexi?.p99, each.p99)
    const verdicts = [verdictOf(flexi, rates, rateTarget), verdictOf(flexi, p99s, p99Target)]
    const verdict = verdicts.filter((text) => text !== '').join(' / ')
    if (each.failures > 0) note(`${each.server.label}: ${each.failures} requests of the load failed`)
    data.push({ ...each, server: id, rates, p99s, rateTarget, p99Target, verdict })
    const targets = [rateTarget, p99Target]
      .map((target) => targetText(target, '×'))
      .filter((text) => text !== '')
    return [[...cellsOf(each), ratio(rates), ratio(p99s), targets.join(' / '), verdict]]
  })
  return { columns: COLUMNS, rows, data }
}

function summaryOf(each) {
  const of = (runs, field) => median(runs.map((run) => run[field]))
  return {
    ...each,
    rate: of(each.many, 'requestsPerSecond'),
    p99: of(each.timedMany, 'p99Ms'),
    of,
  }
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
  'p99 ms',
  'c=32 req/s',
  'p50 ms',
  'p99 ms',
  'CPU µs/req',
  'after MB',
  'flexi ÷ this',
  'p99: flexi ÷ this',
  'target: rate / p99',
  'verdict',
]

function cellsOf({ server, one, many, timedOne, timedMany, loaded, rate, p99, of }) {
  return [
    server.label,
    count(of(one, 'requestsPerSecond')),
    milliseconds(of(timedOne, 'p50Ms')),
    milliseconds(of(timedOne, 'p99Ms')),
    count(rate) + percent(spread(many.map((run) => run.requestsPerSecond))),
    milliseconds(of(timedMany, 'p50Ms')),
    milliseconds(p99),
    count(of(many, 'cpuMicrosPerRequest')),
    count(loaded.rssMb),
  ]
}
