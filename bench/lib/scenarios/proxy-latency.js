import { runClient } from '../clients.js'
import { OTHER_CORE, SERVER_CORE } from '../cores.js'
import { median } from '../statistics.js'
import { count, milliseconds, ratio } from '../table.js'
import { withUpstream } from '../upstream.js'
import { judge, targetText } from '../verdict.js'
import { ratioTo, withLineUp } from './line-up.js'

const FULL = { rounds: 3, seconds: 6 }
const QUICK = { rounds: 2, seconds: 2 }
/** Requests a second: what the slowest of them can bear on one core of a small machine. */
const RATE = 5_000
const CONNECTIONS = 64
const ROWS = [
  ['flexi-proxy'],
  ['nginx-proxy', { atMost: 2 }],
  ['haproxy-proxy'],
  ['caddy-proxy'],
  ['undici-proxy'],
  ['httpxy-proxy'],
  ['http-proxy-3-proxy'],
]

/** Latency at a rate that all can bear: nobody waits in anybody's queue of a closed loop. */
export function proxyLatency(context) {
  return withUpstream(['upstream-nginx', 'upstream-node'], context, (upstream) => {
    const where = { upstream: upstream.port, core: SERVER_CORE }
    const measure = async (started) => report(await measureAll([...started, upstream], context))
    return withLineUp(
      ROWS.map(([id]) => id),
      context,
      measure,
      where,
    )
  })
}

async function measureAll(servers, context) {
  const { rounds, seconds } = context.quick ? QUICK : FULL
  const all = servers.map((server) => ({ server, runs: [] }))
  for (let round = 1; round <= rounds; round += 1) {
    for (const { server, runs } of all) {
      context.progress(`round ${round} of ${rounds}: ${server.label}`)
      runs.push(await runClient('paced.js', [server.url, RATE, seconds, CONNECTIONS], OTHER_CORE))
    }
  }
  return all
}

function report(all) {
  const of = (id, field) =>
    median(all.find(({ server }) => server.id === id)?.runs.map((run) => run[field]) ?? [])
  const flexi = of('flexi-proxy', 'p99Ms')
  const data = []
  const rows = [...ROWS.map(([id]) => id), all.at(-1).server.id].flatMap((id) => {
    const each = all.find(({ server }) => server.id === id)
    if (each === undefined) return []
    const target = ROWS.find(([one]) => one === id)?.[1]
    const multiple = id === 'flexi-proxy' ? undefined : ratioTo(flexi, of(id, 'p99Ms'))
    const failures = each.runs.reduce((total, run) => total + run.failures + run.unanswered, 0)
    const verdict = judge(multiple, target)
    data.push({ server: id, runs: each.runs, multiple, target, verdict })
    const cells = ['p50Ms', 'p99Ms', 'p999Ms', 'maxMs'].map((field) => milliseconds(of(id, field)))
    return [[each.server.label, ...cells, count(failures), ratio(multiple), targetText(target, '×'), verdict]]
  })
  const columns = [
    'server',
    'p50 ms',
    'p99 ms',
    'p99.9 ms',
    'max ms',
    'failed',
    'flexi ÷ this',
    'target',
    'verdict',
  ]
  return { columns, rows, data }
}
