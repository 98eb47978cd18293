import { setTimeout as sleep } from 'node:timers/promises'

import { get, oneConnection } from '../http.js'
import { percentile } from '../statistics.js'
import { milliseconds } from '../table.js'
import { judge, targetText } from '../verdict.js'
import { measureEach } from './line-up.js'

const CRASHES = { full: 12, quick: 5 }
const TARGET = { atMost: 10 }
/** A spare process needs its time, and a person does not crash a library twice a second; faster is a crash loop, which backs off. */
const PAUSE_MS = 1_500

/** From the answer to a request that crashed its library to the next good answer. */
export async function nativeCrash(context) {
  const found = await measureEach(['flexi-native'], context, (server) => measure(server, context))
  return report([...found.values()])
}

async function measure(server, { quick, progress, note }) {
  const crashes = quick ? CRASHES.quick : CRASHES.full
  const agent = oneConnection()
  const times = []
  const statuses = new Set()
  // Before the first change there is no spare: what waits for one is a library that somebody works on.
  server.save(server.folder, 1)
  await sleep(PAUSE_MS)
  for (let n = 1; n <= crashes; n += 1) {
    progress(`${server.label}: crash ${n} of ${crashes}`)
    const { crash, untilGood } = await crashOnce(server.url, agent)
    statuses.add(crash.status)
    times.push(untilGood)
    await sleep(PAUSE_MS)
  }
  agent.destroy()
  note(`a request that crashes its library is answered ${[...statuses].join(', ')}`)
  return { times }
}

async function crashOnce(url, agent) {
  const crash = await get(`${url}!`, agent)
  const crashedAt = performance.now()
  for (let tries = 0; tries < 1_000; tries += 1) {
    const { status } = await get(url, agent)
    if (status === 200) return { crash, untilGood: performance.now() - crashedAt }
  }
  return { crash, untilGood: Infinity }
}

function report(measured) {
  const data = []
  const rows = measured.map(({ server, times }) => {
    const p50 = percentile(times, 0.5)
    const verdict = judge(p50, TARGET)
    data.push({ server: server.id, times, p50, target: TARGET, verdict })
    const cells = [Math.min(...times), p50, Math.max(...times)].map(milliseconds)
    return [server.label, String(times.length), ...cells, targetText(TARGET, 'ms'), verdict]
  })
  const columns = ['server', 'crashes', 'min ms', 'p50 ms', 'max ms', 'target', 'verdict']
  return { columns, rows, data }
}
