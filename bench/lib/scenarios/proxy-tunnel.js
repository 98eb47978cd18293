import { setTimeout as sleep } from 'node:timers/promises'

import { runClient } from '../clients.js'
import { OTHER_CORE, SERVER_CORE } from '../cores.js'
import { cpuSecondsOf } from '../process-tree.js'
import { median, spread } from '../statistics.js'
import { percent, ratio } from '../table.js'
import { withUpstream } from '../upstream.js'
import { judge, targetText } from '../verdict.js'
import { ratioTo, withLineUp } from './line-up.js'

const FULL = { rounds: 3, seconds: 4 }
const QUICK = { rounds: 2, seconds: 2 }
const CONNECTIONS = [1, 16]
const BREATH_MS = 300
const BYTES_PER_GB = 1e9
const ROWS = [
  ['flexi-proxy'],
  ['nginx-proxy', { atLeast: 1 }],
  ['haproxy-proxy'],
  ['caddy-proxy'],
  ['httpxy-proxy'],
  ['http-proxy-3-proxy'],
]

/** Bytes a second through connections that changed their protocol, from an upstream that writes as fast as it can. */
export function proxyTunnel(context) {
  return withUpstream(['upstream-tunnel'], context, (upstream) => {
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
  const all = servers.map((server) => ({ server, runs: CONNECTIONS.map(() => []) }))
  for (let round = 1; round <= rounds; round += 1) {
    for (const { server, runs } of all) {
      context.progress(`round ${round} of ${rounds}: ${server.label}`)
      for (const [at, connections] of CONNECTIONS.entries())
        runs[at].push(...(await pour(server, connections, { seconds, note: context.note })))
    }
  }
  return all
}

/** One measurement, or none and a note that says why. */
async function pour(server, connections, { seconds, note }) {
  await sleep(BREATH_MS)
  const before = cpuSecondsOf(server.pid)
  try {
    const { bytes, seconds: elapsed } = await runClient(
      'sink.js',
      [server.url, connections, seconds],
      OTHER_CORE,
    )
    const gb = bytes / BYTES_PER_GB
    return [{ rate: gb / elapsed, cpuPerGb: (cpuSecondsOf(server.pid) - before) / gb }]
  } catch (error) {
    const reason = error.stderr?.split('\n').find((line) => line.startsWith('Error'))
    note(`${server.label}, ${connections} connections: ${reason ?? error.message}`)
    return []
  }
}

function report(all) {
  const of = (id) => all.find(({ server }) => server.id === id)?.runs.map(rateOf)
  const flexi = of('flexi-proxy')
  const data = []
  const rows = [...ROWS, ['upstream-tunnel']].flatMap(([id, target]) => {
    const each = all.find(({ server }) => server.id === id)
    if (each === undefined) return []
    const rates = of(id)
    const multiples = rates.map((rate, at) => (id === 'flexi-proxy' ? undefined : ratioTo(flexi?.[at], rate)))
    const verdicts = multiples.map((multiple) => judge(multiple, target))
    const verdict = verdicts[0] === verdicts[1] ? verdicts[0] : verdicts.join(' / ')
    data.push({ server: id, runs: each.runs, multiples, target, verdict })
    const cells = each.runs.flatMap((runs, at) => [
      ratio(rates[at]) + percent(spread(runs.map(({ rate }) => rate))),
      // The upstream's own time is for everybody's bytes.
      id === 'upstream-tunnel' ? '–' : ratio(median(runs.map(({ cpuPerGb }) => cpuPerGb))),
      ratio(multiples[at]),
    ])
    return [[each.server.label, ...cells, targetText(target, '×'), verdict]]
  })
  const columns = CONNECTIONS.flatMap((n) => [`${n} GB/s`, 'CPU s/GB', 'flexi ÷ this'])
  return { columns: ['server', ...columns, 'target', 'verdict'], rows, data }
}

function rateOf(runs) {
  return median(runs.map(({ rate }) => rate))
}
