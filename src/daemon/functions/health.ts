import { randomUUID } from 'node:crypto'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import { duplexPair } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

import { errorMessage, FlexiError } from '../../core/errors.ts'
import type { RequestContext, RequestId, SocketFetcher } from '../../core/fetcher.ts'
import { silentLogger } from '../../core/log.ts'

export const HEALTH_TIMEOUT_MS = 30_000
/** Of a single try. */
const TRY_MS_MAX = 5_000
const FIRST_PAUSE_MS = 50
const PAUSE_MS_MAX = 1_000

export interface HealthCheck {
  /** `hello@v3` */
  readonly name: string
  readonly path: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/**
 * Asks a function until it answers with a status below 500.
 * @throws FlexiError FLEXI_DEPLOY with the last answer when the time is over; at once for one that keeps ending. The signal's reason.
 */
export async function awaitHealth(fetcher: SocketFetcher, check: HealthCheck): Promise<void> {
  const until = performance.now() + check.timeoutMs
  for (let pauseMs = FIRST_PAUSE_MS, tries = 1; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX), tries += 1) {
    const leftMs = until - performance.now()
    const outcome = await tryOnce(fetcher, check, Math.max(1, Math.min(TRY_MS_MAX, leftMs)))
    if (typeof outcome === 'number' && outcome < 500) return
    check.signal.throwIfAborted()
    if (performance.now() + pauseMs >= until) throw unhealthy(check, outcome, tries)
    await sleep(pauseMs, undefined, { signal: check.signal })
  }
}

function unhealthy(check: HealthCheck, outcome: number | Error, tries: number): FlexiError {
  const last = typeof outcome === 'number' ? `answered ${outcome}` : `failed: ${outcome.message}`
  const tried = tries === 1 ? 'asked once' : `asked ${tries} times`
  return new FlexiError(
    'FLEXI_DEPLOY',
    `${check.name} did not become healthy within ${check.timeoutMs / 1000} s: GET ${check.path} ${last} (${tried})`,
    {
      hint: 'Its log says why; give it more time with "--health-timeout".',
      cause: outcome instanceof Error ? outcome : undefined,
    },
  )
}

/** The status, or why there is none. @throws FlexiError FLEXI_FUNCTION_CRASHED, with which another try is of no use. */
async function tryOnce(fetcher: SocketFetcher, check: HealthCheck, limitMs: number): Promise<number | Error> {
  const signal = AbortSignal.any([check.signal, AbortSignal.timeout(Math.ceil(limitMs))])
  let failure: unknown
  const status = await statusOf(check.path, signal, (incoming, outgoing) => {
    fetcher.handle(incoming, outgoing, probeContext(incoming, signal, limitMs)).catch((error: unknown) => {
      failure = error
      outgoing.destroy()
    })
  })
  if (failure instanceof FlexiError && failure.code === 'FLEXI_FUNCTION_CRASHED') throw failure
  return failure instanceof Error ? failure : status
}

type Serve = (incoming: IncomingMessage, outgoing: ServerResponse) => void

/** A request that never leaves the process: both ends of its connection are ours. */
async function statusOf(path: string, signal: AbortSignal, serve: Serve): Promise<number | Error> {
  const [ours, theirs] = duplexPair()
  const server = createServer(serve)
  server.emit('connection', theirs)
  try {
    return await new Promise<number | Error>((resolve) => {
      const headers = { host: 'localhost', 'user-agent': 'flexi-health-check' }
      const asked = request({ path, headers, signal, createConnection: () => ours }, (answer) => {
        answer.on('error', () => undefined).resume()
        resolve(answer.statusCode ?? 502)
      })
      asked.on('error', (error) => {
        const late = signal.aborted && error.name === 'AbortError'
        resolve(late ? new Error('no answer in time') : new Error(errorMessage(error)))
      })
      asked.end()
    })
  } finally {
    ours.destroy()
    theirs.destroy()
  }
}

function probeContext(incoming: IncomingMessage, signal: AbortSignal, limitMs: number): RequestContext {
  const now = Date.now()
  return {
    id: randomUUID() as string as RequestId,
    signal,
    deadline: now + limitMs,
    receivedAt: now,
    clientAddress: '127.0.0.1',
    clientPort: 0,
    protocol: 'http',
    raw: { method: 'GET', target: incoming.url ?? '/', fields: incoming.rawHeaders },
    route: undefined,
    log: silentLogger,
    waitUntil: () => undefined,
    note: () => undefined,
    explain: () => false,
  }
}
