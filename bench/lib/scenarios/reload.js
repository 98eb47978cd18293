import { setTimeout as sleep } from 'node:timers/promises'

import { median, percentile } from '../statistics.js'
import { milliseconds, ratio } from '../table.js'
import { judge, targetText } from '../verdict.js'
import { Watcher } from '../watcher.js'
import { measureEach, ratioTo } from './line-up.js'

const SAVES = { full: 25, quick: 6 }
const ANSWER_LIMIT_MS = 5_000
/** What passes between two saves, at least and at most; a person is slower. Not a fixed time, so that no timer runs in step with it. */
const PAUSE_MS = [300, 600]
const SETTLE_MS = 1_000

/** `[server, targets in ms, the flexi row it is compared with]` */
const ROWS = [
  ['flexi-lambda', { p50: 25, p95: 50 }],
  ['serverless-offline-reload', undefined, 'flexi-lambda'],
  ['flexi-native', { p50: 30, p95: 60 }],
  ['flexi-workers', { p50: 130, p95: 200 }],
  ['wrangler-dev', undefined, 'flexi-workers'],
]

/** From before the write of a file to the first answer of the new code, while somebody asks every millisecond. */
export async function reload(context) {
  const ids = ROWS.map(([id]) => id)
  return report(await measureEach(ids, context, (server) => timeSaves(server, context)))
}

/** Saves again and again while somebody asks: `{ times, failures, requests }`; a time is undefined when the save was never seen. */
export async function timeSaves(server, { quick, progress, note }) {
  const saves = quick ? SAVES.quick : SAVES.full
  const watcher = new Watcher(server.url, server.body)
  const times = []
  try {
    await sleep(SETTLE_MS)
    for (let n = 1; n <= saves; n += 1) {
      progress(`${server.label}: save ${n} of ${saves}`)
      times.push(await saveOnce(server, watcher, n))
      await sleep(PAUSE_MS[0] + Math.random() * (PAUSE_MS[1] - PAUSE_MS[0]))
    }
  } finally {
    await watcher.stop()
  }
  if (watcher.failures > 0)
    note(
      `${server.label}: ${watcher.failures} of ${watcher.requests} requests failed: ${watcher.failureTexts.join(' · ')}`,
    )
  return { times, failures: watcher.failures, requests: watcher.requests }
}

/** Milliseconds from before the write to the first new answer; undefined when it never came. */
export async function saveOnce(server, watcher, n, limitMs = ANSWER_LIMIT_MS) {
  const before = performance.now()
  const body = server.save(server.folder, n, server.upstream)
  const at = await watcher.next(body, limitMs)
  return at === undefined ? undefined : at - before
}

function report(measured) {
  const data = []
  const rows = ROWS.flatMap(([id, targets, flexiId]) => {
    const each = measured.get(id)
    if (each === undefined) return []
    const seen = each.times.filter((time) => time !== undefined)
    const missed = each.times.length - seen.length
    // A save that nobody saw is as slow as can be, not left out.
    const all = each.times.map((time) => time ?? Infinity)
    const [p50, p95] = [percentile(all, 0.5), percentile(all, 0.95)]
    const flexiTimes = measured.get(flexiId)?.times.map((time) => time ?? Infinity)
    const multiple = ratioTo(flexiTimes && median(flexiTimes), p50)
    const verdict = verdictOf({ p50, p95 }, targets)
    data.push({
      server: id,
      times: each.times,
      p50,
      p95,
      missed,
      failures: each.failures,
      requests: each.requests,
      multiple,
      targets,
      verdict,
    })
    const cells = [Math.min(...all), p50, p95, Math.max(...all)].map(milliseconds)
    const target = targets === undefined ? '' : `${targetText({ atMost: targets.p50 }, '')} / ${targets.p95}`
    return [
      [
        each.server.label,
        ...cells,
        `${missed} of ${each.times.length}`,
        `${each.failures} of ${each.requests}`,
        ratio(multiple),
        target,
        verdict,
      ],
    ]
  })
  const columns = [
    'server',
    'min ms',
    'p50 ms',
    'p95 ms',
    'max ms',
    'never seen',
    'failed requests',
    'flexi ÷ this',
    'target p50 / p95',
    'verdict',
  ]
  return { columns, rows, data }
}

function verdictOf({ p50, p95 }, targets) {
  if (targets === undefined) return ''
  const verdicts = [judge(p50, { atMost: targets.p50 }), judge(p95, { atMost: targets.p95 })]
  return verdicts.every((each) => each === 'met') ? 'met' : verdicts.join(' / ')
}
