import { compare } from './comparison.js'

const ratio = (flexi, each) => flexi.rate / each.rate
const LOADS = [{ connections: 1 }, { connections: 32 }]

const OWN = {
  reference: 'flexi-python',
  ratioTitle: 'flexi ÷ this',
  ratio,
  rows: [['flexi-python'], ['plain-ric', { atLeast: 2 }], ['plain-runtime']],
  loads: [{ connections: 32 }],
}
const SAME_CLIENT = {
  reference: 'flexi-ric',
  ratioTitle: 'flexi ÷ this',
  ratio,
  rows: [['flexi-ric'], ['plain-ric', { atLeast: 1.1 }]],
  loads: LOADS,
}
const SAME_RUNTIME = {
  reference: 'flexi-runtime',
  ratioTitle: 'flexi ÷ this',
  ratio,
  rows: [['flexi-runtime'], ['plain-runtime', { atLeast: 1.1 }]],
  loads: LOADS,
}
const LARGE = {
  reference: 'flexi-large',
  ratioTitle: 'flexi ÷ this',
  ratio,
  rows: [['flexi-large'], ['fork-large', { atLeast: 2 }]],
  loads: [{ connections: 4 }],
}

/** A runtime of flexi's own on the Runtime API, beside AWS's client for Node on a server of node:http. */
export const lambdaRuntime = (context) => compare(OWN, context)
/** AWS's client on flexi's Runtime API, and on one of node:http. */
export const lambdaRuntimeClient = (context) => compare(SAME_CLIENT, context)
/** A runtime of forty lines on both. */
export const lambdaRuntimePlain = (context) => compare(SAME_RUNTIME, context)
/** Responses of 1 MB. */
export const lambdaLarge = (context) => compare(LARGE, context)
