import { startServer, stopServer } from '../server.js'
import { median } from '../statistics.js'
import { milliseconds, ratio } from '../table.js'
import { judge, targetText } from '../verdict.js'
import { prepareLineUp, ratioTo } from './line-up.js'

const RUNS = { full: 11, quick: 3 }
const ROWS = [
  ['flexi-lambda', { atMost: 250 }],
  ['flexi-workers'],
  ['flexi-native'],
  ['node-http'],
  ['hono'],
  ['workerd'],
  ['miniflare'],
  ['wrangler-dev'],
  ['serverless-offline'],
]

/** From before the spawn to the first 200, seen by new connections 2 ms apart. The first run of each warms the disk and is not counted. */
export async function start(context) {
  const { servers, times } = await timeStarts(
    ROWS.map(([id]) => id),
    context,
  )
  return report(servers, times)
}

/** The times of several starts of each server, in turn, by its id; those that did not start are left out. */
export async function timeStarts(ids, context) {
  const runs = context.quick ? RUNS.quick : RUNS.full
  const servers = prepareLineUp(ids, context)
  const times = new Map(servers.map(({ id }) => [id, []]))
  for (let run = 0; run <= runs; run += 1) {
    for (const server of servers.filter(({ id }) => times.has(id))) {
      context.progress(`${run === 0 ? 'warm up' : `run ${run} of ${runs}`}: ${server.label}`)
      const ms = await timeOnce(server, context)
      if (ms === undefined) times.delete(server.id)
      else if (run > 0) times.get(server.id).push(ms)
    }
  }
  return { servers, times }
}

async function timeOnce(server, { note }) {
  try {
    const started = await startServer(server)
    await stopServer(started, note)
    return started.readyMs
  } catch (error) {
    note(`skipped, did not start: ${error.message}`)
    return undefined
  }
}

function report(servers, times) {
  const flexi = median(times.get('flexi-lambda') ?? [])
  const data = []
  const rows = ROWS.flatMap(([id, target]) => {
    const all = times.get(id)
    if (all === undefined) return []
    const middle = median(all)
    const multiple = id === 'flexi-lambda' ? undefined : ratioTo(flexi, middle)
    const verdict = judge(middle, target)
    data.push({ server: id, times: all, median: middle, multiple, target, verdict })
    const cells = [Math.min(...all), middle, Math.max(...all)].map(milliseconds)
    const { label } = servers.find((each) => each.id === id)
    return [[label, ...cells, ratio(multiple), targetText(target, 'ms'), verdict]]
  })
  return {
    columns: ['server', 'min ms', 'median ms', 'max ms', 'flexi Lambda ÷ this', 'target', 'verdict'],
    rows,
    data,
  }
}
