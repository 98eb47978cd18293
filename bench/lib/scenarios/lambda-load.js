import { judge, targetText } from '../verdict.js'
import { compare } from './comparison.js'

const FLEXI = 'flexi-lambda'
const PLAN = {
  reference: FLEXI,
  ratioTitle: 'flexi ÷ this',
  ratio: (flexi, each) => flexi.rate / each.rate,
  rows: [
    [FLEXI],
    ['serverless-offline', { atLeast: 4 }],
    ['serverless-offline-in-process', { atLeast: 2 }],
    ['lambda-local'],
  ],
  loads: [{ connections: 16 }, { connections: 64 }],
}
const P99 = { of: 'serverless-offline', load: 1, target: { atMost: 0.1 } }
const RSS_MB = { atMost: 250 }

/** One Lambda under more than one load: rate, tail and memory beside other runners of the same handler. */
export async function lambdaLoad(context) {
  const table = await compare(PLAN, context)
  const of = (id) => table.data.find(({ server }) => server === id)
  const flexi = of(FLEXI)
  const peer = of(P99.of)
  if (flexi !== undefined) {
    const rssMb = Math.round(flexi.rssMb)
    context.note(
      `flexi's memory after the load: ${rssMb} MB, ${targetText(RSS_MB, 'MB')}: ${judge(rssMb, RSS_MB)}`,
    )
  }
  if (flexi !== undefined && peer !== undefined) {
    const multiple = flexi.loads[P99.load].p99Ms / peer.loads[P99.load].p99Ms
    context.note(
      `p99 at c=64 ÷ serverless-offline's: ${multiple.toFixed(3)}, ${targetText(P99.target, '×')}: ${judge(multiple, P99.target)}`,
    )
  }
  return table
}
