import { setTimeout as sleep } from 'node:timers/promises'

import { OTHER_CORE } from '../cores.js'
import { drive } from '../load.js'
import { cpuSecondsOf, memoryOf } from '../process-tree.js'
import { median, spread } from '../statistics.js'
import { count, milliseconds, percent, ratio } from '../table.js'
import { judge, targetText } from '../verdict.js'
import { withLineUp } from './line-up.js'

const FULL = { rounds: 3, seconds: 6, warmUpSeconds: 2 }
const QUICK = { rounds: 2, seconds: 2, warmUpSeconds: 1 }
const BREATH_MS = 300
const REQUESTS = 100_000

/**
 * Several servers under the same loads, all running from the start, in turn.
 * `plan.rows` are `[server, target]`, the target of `plan.ratio(reference, this)`, which compares two measurements of the same load;
 * `plan.reference` is the server that all are compared with, `plan.loads` what `drive` is told besides the time.
 * `where` is `{ upstream, core }` for proxies.
 */
export async function compare(plan, context, where = {}) {
  const sizes = context.quick ? QUICK : FULL
  const ids = plan.rows.map(([id]) => id)
  const measure = async (started) =>
    report(plan, await measureAll(plan, started, { ...sizes, context, where }), context)
  return withLineUp(ids, context, measure, where)
}

async function measureAll(plan, started, { rounds, seconds, warmUpSeconds, context, where }) {
  const core = where.core === undefined ? undefined : OTHER_CORE
  const all = started.map((server) => ({ server, runs: plan.loads.map(() => []) }))
  for (const { server } of all) {
    context.progress(`warm up ${server.label}`)
    await driveOnce(server, { ...plan.loads[0], seconds: warmUpSeconds, core }, context)
  }
  for (let round = 1; round <= rounds; round += 1) {
    for (const { server, runs } of all) {
      context.progress(`round ${round} of ${rounds}: ${server.label}`)
      for (const [at, load] of plan.loads.entries())
        runs[at].push(await driveOnce(server, { ...load, seconds, core }, context))
    }
  }
  return all.map(({ server, runs }) => ({
    server,
    loads: runs.map(summaryOf),
    rssMb: memoryOf(server.pid).rssMb,
  }))
}

async function driveOnce(server, load, { note }) {
  await sleep(BREATH_MS)
  const before = cpuSecondsOf(server.pid)
  const run = await drive(server.url, { ...load, host: server.host }).catch((error) => {
    note(`${server.label}: the load failed: ${error.stderr?.trim().split('\n').at(-1) ?? error.message}`)
    return { requestsPerSecond: 0, failures: 1 }
  })
  const cpuSeconds = cpuSecondsOf(server.pid) - before
  return { ...run, cpuPer100k: (cpuSeconds / (run.requestsPerSecond * load.seconds)) * REQUESTS }
}

function summaryOf(runs) {
  const of = (field) => median(runs.map((run) => run[field]))
  return {
    rate: of('requestsPerSecond'),
    spread: spread(runs.map((run) => run.requestsPerSecond)),
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    cpuPer100k: of('cpuPer100k'),
    failures: runs.reduce((total, run) => total + run.failures, 0),
  }
}

function report(plan, measured, { note }) {
  const reference = measured.find(({ server }) => server.id === plan.reference)
  const data = []
  const rows = plan.rows.flatMap(([id, target]) => {
    const each = measured.find(({ server }) => server.id === id)
    if (each === undefined) return []
    const multiples = each.loads.map((load, at) =>
      each === reference || reference === undefined ? undefined : plan.ratio(reference.loads[at], load),
    )
    const failures = each.loads.reduce((total, load) => total + load.failures, 0)
    if (failures > 0) note(`${each.server.label}: ${failures} requests of the load failed`)
    const verdict = verdictOf(multiples, target, { plan, failures, reference })
    data.push({ ...each, server: id, multiples, target, verdict })
    const cells = each.loads.flatMap((load, at) => [...cellsOf(load), ratio(multiples[at])])
    return [[each.server.label, ...cells, count(each.rssMb), targetText(target, '×'), verdict]]
  })
  const columns = plan.loads.flatMap(({ connections }) => [
    `c=${connections} req/s`,
    'p50 ms',
    'p99 ms',
    'CPU s/100k',
    plan.ratioTitle,
  ])
  return { columns: ['server', ...columns, 'RSS MB', 'target', 'verdict'], rows, data }
}

function cellsOf({ rate, spread: apart, p50Ms, p99Ms, cpuPer100k }) {
  return [count(rate) + percent(apart), milliseconds(p50Ms), milliseconds(p99Ms), ratio(cpuPer100k)]
}

/** The worse of the loads counts, and errors are quickly made: with failed requests no target is met. */
function verdictOf(multiples, target, { plan, failures, reference }) {
  if (target === undefined) return ''
  const failed = failures + (reference?.loads ?? []).reduce((total, load) => total + load.failures, 0)
  if (failed > 0) return `missed: ${failed} requests failed`
  const verdicts = multiples.map((multiple) => judge(multiple, target))
  if (verdicts.every((each) => each === verdicts[0])) return verdicts[0]
  return verdicts.map((each, at) => `c=${plan.loads[at].connections} ${each}`).join(', ')
}
