import { canReadProcesses } from '../process-tree.js'
import { percentile } from '../statistics.js'
import { count, milliseconds, ratio } from '../table.js'
import { judge, targetText } from '../verdict.js'
import { measureEach, ratioTo } from './line-up.js'
import { FULL, QUICK, weigh } from './memory.js'
import { timeSaves } from './reload.js'
import { timeStarts } from './start.js'

/** flexi's row, wrangler's with the same project, and the others. */
const PLAIN = ['flexi-workers', 'wrangler-dev']
const BOUND = ['flexi-workers-bound', 'wrangler-dev-bound']

const START_TARGET = { atMost: 0.6 }
const RELOAD_TARGET = { atMost: 0.8 }
/** Of a worker without bindings. */
const SWAP_TARGET_MS = { atMost: 15 }
const MEMORY_TARGET = { atMost: 0.55 }

export async function workersStart(context) {
  const ids = [...PLAIN, ...BOUND, 'workerd', 'miniflare']
  const { servers, times } = await timeStarts(ids, context)
  const data = []
  const rows = servers.flatMap(({ id, label }) => {
    const all = times.get(id)
    if (all === undefined) return []
    const p50 = percentile(all, 0.5)
    const multiple = againstWrangler(id, (other) => percentile(times.get(other) ?? [], 0.5))
    const cells = [Math.min(...all), p50, Math.max(...all)].map(milliseconds)
    const row = judged({ multiple, target: START_TARGET })
    data.push({ server: id, times: all, p50, multiple, verdict: row.at(-1) })
    return [[label, ...cells, ...row]]
  })
  return { columns: ['server', 'min ms', 'p50 ms', 'max ms', ...VERDICT_COLUMNS], rows, data }
}

export async function workersReload(context) {
  const measured = await measureEach([...PLAIN, ...BOUND], context, (server) => timeSaves(server, context))
  // A save that nobody saw is as slow as can be, not left out.
  const timesOf = (id) => (measured.get(id)?.times ?? []).map((time) => time ?? Infinity)
  const data = []
  const rows = [...measured].map(([id, { server, times, failures, requests }]) => {
    const all = timesOf(id)
    const [p50, p95] = [percentile(all, 0.5), percentile(all, 0.95)]
    const multiple = againstWrangler(id, (other) => percentile(timesOf(other), 0.5))
    const own = id === PLAIN[0] ? { value: p50, target: SWAP_TARGET_MS } : undefined
    const row = judged({ multiple, target: RELOAD_TARGET, own })
    data.push({ server: id, times, p50, p95, failures, requests, multiple, verdict: row.at(-1) })
    const cells = [Math.min(...all), p50, p95, Math.max(...all)].map(milliseconds)
    return [server.label, ...cells, `${failures} of ${requests}`, ...row]
  })
  return {
    columns: ['server', 'min ms', 'p50 ms', 'p95 ms', 'max ms', 'failed requests', ...VERDICT_COLUMNS],
    rows,
    data,
  }
}

export async function workersMemory(context) {
  if (!canReadProcesses) context.note('memory is read from /proc: not measured on this system')
  const sizes = context.quick ? QUICK : FULL
  const ids = [...PLAIN, ...BOUND]
  const measured = await measureEach(ids, context, (server) => weigh(server, sizes, context))
  const data = []
  const rows = [...measured].map(([id, { server, idle, loaded, rested }]) => {
    const multiple = againstWrangler(id, (other) => measured.get(other)?.idle.rssMb)
    const row = judged({ multiple, target: MEMORY_TARGET })
    data.push({ server: id, idle, loaded, rested, multiple, verdict: row.at(-1) })
    const memories = [idle.rssMb, idle.pssMb, loaded.rssMb, rested.rssMb].map(count)
    return [server.label, ...memories, String(idle.processes), ...row]
  })
  return {
    columns: [
      'server',
      'idle RSS MB',
      'idle PSS MB',
      'loaded RSS MB',
      'rested RSS MB',
      'processes',
      ...VERDICT_COLUMNS,
    ],
    rows,
    data,
  }
}

const VERDICT_COLUMNS = ['÷ wrangler’s', 'target', 'verdict']

/** flexi's value divided by wrangler's of the same project; undefined for every other row. */
function againstWrangler(id, valueOf) {
  const [flexi, wrangler] = [PLAIN, BOUND].find(([first]) => first === id) ?? []
  return flexi === undefined ? undefined : ratioTo(valueOf(flexi), valueOf(wrangler))
}

/** The cells of VERDICT_COLUMNS; `own` is a value in ms that has a target of its own. */
function judged({ multiple, target, own }) {
  if (multiple === undefined && own === undefined) return ['', '', '']
  const targets = [targetText(target, '×')]
  const verdicts = [judge(multiple, target)]
  if (own !== undefined) {
    targets.push(targetText(own.target, 'ms'))
    verdicts.push(judge(own.value, own.target))
  }
  const all = verdicts.every((each) => each === 'met') ? 'met' : verdicts.join(' / ')
  return [ratio(multiple), targets.join(', '), all]
}
