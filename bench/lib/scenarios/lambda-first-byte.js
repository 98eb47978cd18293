import { Agent, request } from 'node:http'

import { percentile } from '../statistics.js'
import { milliseconds } from '../table.js'
import { judge, targetText } from '../verdict.js'
import { withLineUp } from './line-up.js'

const TIMES = { full: 200, quick: 40 }
const TARGET = { atMost: 5 }
const WAYS = {
  'the function’s address': { method: 'GET', path: '/', body: undefined },
  InvokeWithResponseStream: {
    method: 'POST',
    path: '/_flexi/aws/2021-11-15/functions/hello/response-streaming-invocations',
    body: '{}',
  },
}

/** From before a request is sent to the first byte of a stream whose second part comes 20 ms later. */
export async function lambdaFirstByte(context) {
  const times = context.quick ? TIMES.quick : TIMES.full
  const columns = ['way', 'p50 ms', 'p99 ms', 'whole p50 ms', 'target p50', 'verdict']
  const rows = []
  const data = []
  await withLineUp(['flexi-stream'], context, async ([server]) => {
    if (server === undefined) return
    for (const [way, ask] of Object.entries(WAYS)) {
      const measured = await measure(server.port, ask, times)
      const first = measured.map((each) => each.firstMs)
      const p50 = percentile(first, 0.5)
      const verdict = judge(p50, TARGET)
      const cells = [
        p50,
        percentile(first, 0.99),
        percentile(
          measured.map((each) => each.wholeMs),
          0.5,
        ),
      ]
      rows.push([way, ...cells.map(milliseconds), targetText(TARGET, 'ms'), verdict])
      data.push({ way, measured, verdict })
    }
  })
  return { columns, rows, data }
}

async function measure(port, ask, times) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const found = []
  for (let n = 0; n < times + 5; n += 1) found.push(await once({ ...ask, agent, port, host: '127.0.0.1' }))
  agent.destroy()
  return found.slice(5)
}

function once({ body, ...options }) {
  return new Promise((resolve, reject) => {
    const before = performance.now()
    const outgoing = request(options, (incoming) => {
      let firstMs
      incoming.on('data', () => (firstMs ??= performance.now() - before))
      incoming.once('end', () =>
        incoming.statusCode === 200
          ? resolve({ firstMs, wholeMs: performance.now() - before })
          : reject(new Error(`answered ${incoming.statusCode}`)),
      )
    })
    outgoing.once('error', reject)
    outgoing.end(body)
  })
}
