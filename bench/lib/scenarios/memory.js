import { setTimeout as sleep } from 'node:timers/promises'

import { drive } from '../load.js'
import { canReadProcesses, memoryOf } from '../process-tree.js'
import { count, ratio } from '../table.js'
import { judge, targetText } from '../verdict.js'
import { measureEach, ratioTo } from './line-up.js'

export const FULL = { idleSeconds: 5, loadSeconds: 5, restSeconds: 10 }
export const QUICK = { idleSeconds: 3, loadSeconds: 1, restSeconds: 2 }
const CONNECTIONS = 32
const ROWS = [
  ['flexi-lambda', { atMost: 140 }],
  ['serverless-offline'],
  ['flexi-workers'],
  ['wrangler-dev'],
  ['flexi-native'],
  ['hono'],
  ['node-http'],
]

/** Memory of all processes of a server: after its first answer and a rest, at the end of a load, and after another rest. */
export async function memory(context) {
  if (!canReadProcesses) context.note('memory is read from /proc: not measured on this system')
  const sizes = context.quick ? QUICK : FULL
  const ids = ROWS.map(([id]) => id)
  return report(await measureEach(ids, context, (server) => weigh(server, sizes, context)))
}

/** `{ idle, loaded, rested }`: memory after its first answer and a rest, at the end of a load, and after another rest. */
export async function weigh(server, sizes, { progress }) {
  progress(`${server.label}: idle, load, rest`)
  await sleep(sizes.idleSeconds * 1_000)
  const idle = memoryOf(server.pid)
  await drive(server.url, { connections: CONNECTIONS, seconds: sizes.loadSeconds })
  const loaded = memoryOf(server.pid)
  await sleep(sizes.restSeconds * 1_000)
  return { idle, loaded, rested: memoryOf(server.pid) }
}

function report(measured) {
  const flexi = measured.get('flexi-lambda')?.idle.rssMb
  const data = []
  const rows = ROWS.flatMap(([id, target]) => {
    const each = measured.get(id)
    if (each === undefined) return []
    const { server, idle, loaded, rested } = each
    const multiple = id === 'flexi-lambda' ? undefined : ratioTo(flexi, idle.rssMb)
    const verdict = judge(idle.rssMb, target)
    data.push({ server: id, idle, loaded, rested, multiple, target, verdict })
    const memories = [idle.rssMb, idle.pssMb, loaded.rssMb, rested.rssMb].map(count)
    const processes = `${idle.processes} → ${loaded.processes} → ${rested.processes}`
    return [[server.label, ...memories, processes, ratio(multiple), targetText(target, 'MB'), verdict]]
  })
  const columns = [
    'server',
    'idle RSS MB',
    'idle PSS MB',
    'loaded RSS MB',
    'rested RSS MB',
    'processes',
    'flexi Lambda ÷ this',
    'target',
    'verdict',
  ]
  return { columns, rows, data }
}
