import { cli } from './cli.js'
import { memory } from './memory.js'
import { reload } from './reload.js'
import { reloads500 } from './reloads500.js'
import { start } from './start.js'
import { throughput } from './throughput.js'

const LAMBDA = {
  rows: [
    ['flexi-lambda'],
    ['serverless-offline', { atLeast: 4 }],
    ['serverless-offline-in-process'],
    ['hono-json', { atLeast: 0.22 }],
    ['node-http-json'],
    ['nginx-json'],
  ],
}
const WORKERS = {
  rows: [
    ['flexi-workers'],
    ['wrangler-dev', { atLeast: 5 }],
    ['miniflare'],
    ['workerd', { atLeast: 0.65 }],
    ['hono'],
    ['node-http'],
    ['nginx'],
  ],
}
const NATIVE = {
  rows: [['flexi-native'], ['hono', { atLeast: 0.5 }], ['node-http'], ['nginx']],
}

const LOAD_NOTES = [
  'all servers run at once, one is loaded at a time, in turn; medians of the rounds, ± half of what lies between the best and the worst',
  'c=1 p50 and p99 (*) are of every request of one connection, timed in a process of its own; c=32 p50 and p99 (†) are the load tool’s, and wrk corrects its p99 for requests it could not send during a pause',
  'CPU µs/req is the processor time of all processes of the server for one request at c=32; it moves less than the rate when the machine is shared',
  'every server prints what it prints by default, into a file: flexi its access line of each request',
  'targets are multiples of the c=32 rate',
]

/** `npm run bench NAME`. In this order for `all`: what takes long comes last. */
export const SCENARIOS = {
  cli: { title: 'Command line', run: cli, notes: [] },
  start: { title: 'Start: spawn → first answer', run: start, notes: [] },
  reload: {
    title: 'Reload: write → first answer of the new code',
    run: reload,
    notes: [
      'one client asks every millisecond over one kept-alive connection; the time of the watcher, the build and the swap is in it',
    ],
  },
  memory: {
    title: 'Memory of all processes',
    run: memory,
    notes: [
      'RSS adds up VmRSS and counts shared pages once for each process; PSS divides them among who shares them. Targets are of RSS',
    ],
  },
  lambda: {
    title: 'Lambda: one trivial handler',
    run: (context) => throughput(LAMBDA, context),
    notes: LOAD_NOTES,
  },
  workers: {
    title: 'Worker: one trivial fetch',
    run: (context) => throughput(WORKERS, context),
    notes: LOAD_NOTES,
  },
  native: {
    title: 'Native: one trivial C library',
    run: (context) => throughput(NATIVE, context),
    notes: LOAD_NOTES,
  },
  reloads500: {
    title: '500 reloads in a row',
    run: reloads500,
    notes: [
      '20 ms between an answer and the next save, far faster than a person: the times show what a burst costs',
    ],
  },
}
