import { setTimeout as sleep } from 'node:timers/promises'

import { startClient } from '../clients.js'
import { OTHER_CORE, SERVER_CORE } from '../cores.js'
import { descriptorsMax, memoryOf } from '../process-tree.js'
import { count, ratio } from '../table.js'
import { withUpstream } from '../upstream.js'
import { judge, targetText } from '../verdict.js'
import { measureEach } from './line-up.js'

const CONNECTIONS = 10_000
/** Descriptors that a server has besides its clients': its upstream's, its files. */
const SPARE_DESCRIPTORS = 600
const SETTLE_MS = 3_000
const ROWS = [
  ['flexi-proxy', { atMost: 200 }],
  ['nginx-proxy'],
  ['haproxy-proxy'],
  ['caddy-proxy'],
  ['httpxy-proxy'],
]

/** Memory of a proxy that keeps ten thousand connections which each asked once. */
export function proxyIdle(context) {
  return withUpstream(['upstream-nginx', 'upstream-node'], context, async (upstream) => {
    const where = { upstream: upstream.port, core: SERVER_CORE }
    const ids = ROWS.map(([id]) => id)
    return report([
      ...(await measureEach(ids, context, (server) => measure(server, context), where)).values(),
    ])
  })
}

async function measure(server, { progress, note }) {
  progress(`${server.label}: ${CONNECTIONS} connections`)
  const wanted = Math.min(CONNECTIONS, descriptorsMax(server.pid) - SPARE_DESCRIPTORS)
  if (wanted < CONNECTIONS) note(`${server.label} may open ${wanted} connections only: raise \`ulimit -n\``)
  const before = memoryOf(server.pid)
  const client = startClient('idle.js', [server.url, wanted], OTHER_CORE)
  await client.next()
  await sleep(SETTLE_MS)
  const after = memoryOf(server.pid)
  const { open, failures } = await client.finish()
  return { before, after, open, failures, wanted }
}

function report(measured) {
  const data = []
  const rows = measured.map(({ server, before, after, open, failures, wanted }) => {
    const target = ROWS.find(([id]) => id === server.id)?.[1]
    const complete = open === wanted && failures === 0 && wanted === CONNECTIONS
    const verdict = complete || target === undefined ? judge(after.rssMb, target) : 'not measured'
    data.push({ server: server.id, before, after, open, failures, target, verdict })
    const each = ((after.rssMb - before.rssMb) * 1024) / open
    const cells = [before.rssMb, after.rssMb, open, failures].map(count)
    return [server.label, ...cells, ratio(each), targetText(target, 'MB'), verdict]
  })
  const columns = ['server', 'RSS before MB', 'RSS MB', 'open', 'failed', 'KB each', 'target', 'verdict']
  return { columns, rows, data }
}
