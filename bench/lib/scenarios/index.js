import { CORE_NOTE } from '../cores.js'
import { withUpstream } from '../upstream.js'
import { cli } from './cli.js'
import { compare } from './comparison.js'
import { daemonCycle } from './daemon-cycle.js'
import { lambdaLoad } from './lambda-load.js'
import { lambdaFirstByte } from './lambda-first-byte.js'
import { lambdaLarge, lambdaRuntime, lambdaRuntimeClient, lambdaRuntimePlain } from './lambda-runtime.js'
import { lambdaSwap } from './lambda-swap.js'
import { memory } from './memory.js'
import { nativeCrash } from './native-crash.js'
import { proxyIdle } from './proxy-idle.js'
import { proxyLatency } from './proxy-latency.js'
import { proxyTunnel } from './proxy-tunnel.js'
import { proxyConnections, proxyThroughput } from './proxy.js'
import { reload } from './reload.js'
import { reloads } from './reloads.js'
import { start } from './start.js'
import { throughput } from './throughput.js'
import { workers } from './workers.js'
import { workersMemory, workersReload, workersStart } from './workers-loop.js'

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
const NATIVE = {
  reference: 'hono',
  ratioTitle: 'this ÷ hono',
  ratio: (hono, each) => each.rate / hono.rate,
  rows: [
    ['flexi-native-none', { atLeast: 0.9 }],
    ['flexi-native-process', { atLeast: 0.5 }],
    ['flexi-native'],
    ['hono'],
    ['node-http'],
    ['nginx'],
  ],
  loads: [{ connections: 64 }, { connections: 256 }],
}
const DAEMON = {
  reference: 'flexi-lambda',
  ratioTitle: 'this ÷ flexi dev',
  ratio: (dev, each) => each.rate / dev.rate,
  rows: [['flexi-lambda'], ['flexi-daemon', { atLeast: 0.95 }], ['flexi-daemon-sandbox', { atLeast: 0.95 }]],
  loads: [{ connections: 32 }],
}
const RELOADS = {
  rows: ['flexi-lambda', 'flexi-native', 'flexi-workers'],
  full: { first: 50, last: 500 },
  quick: { first: 10, last: 40 },
}
const PROXY_RELOADS = {
  rows: ['flexi-proxy-reload'],
  full: { first: 100, last: 1_000 },
  quick: { first: 20, last: 60 },
  crowd: { connections: 64, websockets: 4, bodies: ['a', 'b'] },
}

const LOAD_NOTES = [
  'all servers run at once, one is loaded at a time, in turn; medians of the rounds, ± half of what lies between the best and the worst',
  'c=1 p50 and p99 (*) are of every request of one connection, timed in a process of its own; c=32 p50 and p99 (†) are the load tool’s, and wrk corrects its p99 for requests it could not send during a pause',
  'CPU µs/req is the processor time of all processes of the server for one request at c=32; it moves less than the rate when the machine is shared',
  'every server prints what it prints by default, into a file: flexi its access line of each request',
  'targets are multiples of the c=32 rate',
]

const COMPARISON_NOTES = [
  'all servers run at once, one is loaded at a time, in turn; medians of the rounds, ± half of what lies between the best and the worst',
  'p50 and p99 are the load tool’s; CPU s/100k is the processor time of all processes of the server for 100,000 requests',
]

/** `npm run bench NAME`; the name of a group, `proxy`, is all that begin with it. In this order for `all`: what takes long comes last. */
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
  'lambda-load': {
    title: 'Lambda: the same handler under 16 and 64 connections',
    run: lambdaLoad,
    notes: COMPARISON_NOTES,
  },
  'lambda-runtime': {
    title: 'Lambda: through the Runtime API, with a runtime of flexi’s own',
    run: lambdaRuntime,
    notes: COMPARISON_NOTES,
  },
  'lambda-runtime-client': {
    title: 'Lambda: through the Runtime API, with AWS’s client for Node',
    run: lambdaRuntimeClient,
    notes: COMPARISON_NOTES,
  },
  'lambda-runtime-plain': {
    title: 'Lambda: through the Runtime API, with a runtime of forty lines',
    run: lambdaRuntimePlain,
    notes: COMPARISON_NOTES,
  },
  'lambda-large': { title: 'Lambda: responses of 1 MB', run: lambdaLarge, notes: COMPARISON_NOTES },
  'lambda-first-byte': {
    title: 'Lambda: the first byte of a stream',
    run: lambdaFirstByte,
    notes: ['one kept-alive connection, one request after the other'],
  },
  'lambda-swap': {
    title: 'Lambda: what a reload is made of, behind the watcher',
    run: lambdaSwap,
    notes: ['in one process, without the server around it; the first three saves are not counted'],
  },
  workers: {
    title: 'Worker: one trivial fetch',
    run: workers,
    notes: [
      'all servers run at once, one is loaded at a time, in turn; medians of the rounds, ± half of what lies between the best and the worst',
      'rates are the load tool’s; p50 and p99 are of every request, timed by a client of our own over 1 and over 32 connections in a closed loop, nothing corrected',
      'CPU µs/req is the processor time of all processes of the server for one request at c=32; it moves less than the rate when the machine is shared',
      'every server prints what it prints by default, into a file: flexi its access line of each request',
    ],
  },
  'workers-start': {
    title: 'Worker: spawn → first answer',
    run: workersStart,
    notes: ['seen by new connections 2 ms apart; the first run of each is not counted'],
  },
  'workers-reload': {
    title: 'Worker: write → first answer of the new code',
    run: workersReload,
    notes: [
      'one client asks every millisecond over one kept-alive connection; the time of the watcher, the build and the swap is in it',
    ],
  },
  'workers-memory': {
    title: 'Worker: memory of all processes',
    run: workersMemory,
    notes: ['RSS adds up VmRSS and counts shared pages once for each process; targets are of RSS, idle'],
  },
  daemon: {
    title: 'Daemon: a deployed Lambda beside the same in flexi dev',
    run: (context) => compare(DAEMON, context),
    notes: [
      ...COMPARISON_NOTES,
      'each writes what it writes by default: flexi dev an access line, the daemon what the function and its platform say (START, END, REPORT)',
    ],
  },
  'daemon-cycle': {
    title: 'Daemon: cold starts, deployments, and idle functions',
    run: daemonCycle,
    notes: [
      'a cold start is the first request after scale to zero, a Lambda of one line, over a new connection',
      'RSS adds up VmRSS of the supervisor and of the process that serves, right after the start',
    ],
  },
  native: {
    title: 'Native: one trivial C library',
    run: (context) => compare(NATIVE, context),
    notes: COMPARISON_NOTES,
  },
  'native-crash': {
    title: 'Native: crash of a library → next good answer',
    run: nativeCrash,
    notes: ['from the answer to the request that crashed it, with a spare process standing by'],
  },
  proxy: {
    title: 'Reverse proxy: one upstream',
    run: proxyThroughput,
    notes: [
      ...COMPARISON_NOTES,
      CORE_NOTE,
      'flexi ÷ this and its targets are of the processor time; nobody writes a line for each request but the second row',
    ],
  },
  'proxy-latency': {
    title: 'Reverse proxy: latency at 5,000 requests a second',
    run: proxyLatency,
    notes: [
      'every request is timed from when it was due if it had to wait for a connection, else from when it was sent; medians of the rounds',
      CORE_NOTE,
    ],
  },
  'proxy-tunnel': {
    title: 'Reverse proxy: bytes through upgraded connections',
    run: proxyTunnel,
    notes: ['over 1 and over 16 connections, from the upstream to the client', CORE_NOTE],
  },
  'proxy-idle': {
    title: 'Reverse proxy: 10,000 idle connections',
    run: proxyIdle,
    notes: ['each connection asked once; memory is read three seconds later'],
  },
  'proxy-connections': {
    title: 'Reverse proxy: a new connection for each request',
    run: proxyConnections,
    notes: [CORE_NOTE],
  },
  'proxy-reloads': {
    title: '1,000 reloads of proxy.ini under load',
    run: (context) =>
      withUpstream(['upstream-tunnel'], context, ({ port }) =>
        reloads(PROXY_RELOADS, context, { upstream: port }),
      ),
    notes: [
      '64 kept-alive connections ask as fast as they are answered and 4 WebSockets echo, all the while; a connection that closes is a failure',
    ],
  },
  reloads500: {
    title: '500 reloads in a row',
    run: (context) => reloads(RELOADS, context),
    notes: [
      '20 ms between an answer and the next save, far faster than a person: the times show what a burst costs',
    ],
  },
}
