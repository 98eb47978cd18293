import { createRequire } from 'node:module'

import { runClient } from './clients.js'
import { onCore } from './cores.js'
import { findProgram } from './places.js'
import { runTool } from './processes.js'

const wrk = findProgram('wrk')

/** What drives the load; always a process of its own. */
export const loadTool = wrk === undefined ? 'autocannon' : 'wrk'

/**
 * Drives `url` with so many connections for so long, from a core if one is given; `closing` opens a new connection for each request,
 * `host` is asked for in place of the URL's.
 * Returns `{ requestsPerSecond, p50Ms, p99Ms, failures }`; failures are answers other than 2xx, and broken connections.
 */
export function drive(url, load) {
  return wrk === undefined ? driveWithAutocannon(url, load) : driveWithWrk(url, load)
}

/**
 * Times every request of one kept-alive connection, one after the other, in a process of its own.
 * wrk corrects its percentiles for requests it would have sent during a pause, so that one garbage collection
 * of 100 ms becomes the p99 of a short run; this tells what a caller sees.
 * Returns `{ requests, p50Ms, p99Ms, p999Ms, maxMs }`.
 */
export async function timeEveryRequest(url, seconds) {
  return runClient('one-connection.js', [url, seconds])
}

/** The same over several connections at once. Returns `{ requests, requestsPerSecond, failures, p50Ms, p99Ms, p999Ms, maxMs }`. */
export async function timeManyRequests(url, { connections, seconds }) {
  return runClient('many-connections.js', [url, seconds, connections])
}

async function driveWithWrk(url, { connections, seconds, core, closing = false, host }) {
  const fields = [
    ...(closing ? ['-H', 'Connection: close'] : []),
    ...(host === undefined ? [] : ['-H', `Host: ${host}`]),
  ]
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...fields, url]
  return readWrk(await runTool(onCore(core, { command: wrk, args })))
}

/** The report of `wrk --latency`. */
function readWrk(text) {
  const find = (pattern) => pattern.exec(text)
  const time = (share) => find(new RegExp(`^\\s+${share}%\\s+([\\d.]+)(us|ms|s|m)\\s*$`, 'm'))
  const errors = find(/Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/) ?? []
  const socketErrors = errors.slice(1).reduce((total, each) => total + Number(each), 0)
  return {
    requestsPerSecond: Number(find(/Requests\/sec:\s+([\d.]+)/)?.[1]),
    p50Ms: inMs(time(50)),
    p99Ms: inMs(time(99)),
    failures: socketErrors + Number(find(/Non-2xx or 3xx responses: (\d+)/)?.[1] ?? 0),
  }
}

function inMs([, value, unit]) {
  return Number(value) * { us: 0.001, ms: 1, s: 1_000, m: 60_000 }[unit]
}

async function driveWithAutocannon(url, { connections, seconds, core, closing = false, host }) {
  const script = createRequire(import.meta.url).resolve('autocannon')
  const fields = [
    ...(closing ? ['--reconnectRate', '1'] : []),
    ...(host === undefined ? [] : ['-H', `Host=${host}`]),
  ]
  const load = ['-c', String(connections), '-d', String(seconds), ...fields, url]
  const args = [script, '--json', '--no-progress', ...load]
  const stdout = await runTool(onCore(core, { command: process.execPath, args }))
  const result = JSON.parse(stdout)
  return {
    requestsPerSecond: result.requests.average,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    failures: result.non2xx + result.errors + result.timeouts,
  }
}
