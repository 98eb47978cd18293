import { randomUUID } from 'node:crypto'

import { errorMessage } from '../../../core/errors.ts'
import type { GuardHost, InvokeResult } from '../../../core/function.ts'
import { Seldom } from '../../../core/seldom.ts'
import { proxyResult } from '../front-ends/format-1-answer.ts'
import { statusCode } from '../front-ends/front-end.ts'
import { fieldOf } from '../front-ends/identity.ts'
import type { WebSocketOptions, WebSocketRoute } from '../front-ends/route-options.ts'

/** One WebSocket API of one stage, as the newest routes have it: connections outlive tables of routes. */
export interface ServedApi {
  options: WebSocketOptions
  host: GuardHost
  /** Where its functions are. */
  region: string
  /** By function: calls that it could not be run for. */
  readonly failures: Map<string, Seldom>
}

/** What came of asking the function of a route. */
export type RouteOutcome =
  | {
      readonly kind: 'result'
      readonly status: number
      /** Text or bytes for the client; undefined when it says nothing. */
      readonly body: string | Buffer | undefined
      readonly protocol: string | undefined
    }
  /** It threw, said what is no result of a proxy integration, or could not be run. */
  | { readonly kind: 'failed' }
  | { readonly kind: 'timed-out' }

/** API Gateway's own limit for an integration. */
const WAIT_MS = 29_000

/** Runs the function of a route. Never rejects: what is wrong is told in the log, and the client hears of it in the cloud's words. */
export async function callRoute(api: ServedApi, route: WebSocketRoute, event: object): Promise<RouteOutcome> {
  const { host } = api
  const waitMs = route.timeoutMs ?? WAIT_MS
  const limit = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => {
      resolve('late')
      limit.abort()
    }, waitMs)
  })
  try {
    const result = await Promise.race([
      host.invoke(route.function, Buffer.from(JSON.stringify(event)), {
        id: randomUUID(),
        deadline: Date.now() + waitMs,
        signal: limit.signal,
        unlogged: true,
      }),
      late,
    ])
    if (result === 'late') return { kind: 'timed-out' }
    return outcomeOf(result) ?? malformed(host, route, result)
  } catch (error) {
    tellFailure(api, route, error)
    return { kind: 'failed' }
  } finally {
    clearTimeout(timer)
  }
}

/** Clients send on while a function is overloaded or broken: that is no line a message. */
function tellFailure(
  { host, failures }: ServedApi,
  { function: name }: WebSocketRoute,
  error: unknown,
): void {
  const seldom = failures.get(name) ?? new Seldom()
  failures.set(name, seldom)
  const ending = seldom.ending()
  if (ending === undefined) return
  host.log.warn('websocket.invoke', { message: `${name} was not run: ${errorMessage(error)}${ending}` })
}

/** Undefined for what is no result of a proxy integration. */
function outcomeOf({ payload, functionError }: InvokeResult): RouteOutcome | undefined {
  if (functionError !== undefined) return { kind: 'failed' }
  const value = proxyResult(Buffer.from(payload))
  const status = statusCode(value?.['statusCode'] ?? 200)
  if (value === undefined || status === undefined) return undefined
  const body = value['body'] ?? ''
  if (typeof body !== 'string') return undefined
  return { kind: 'result', status, body: contentOf(body, value), protocol: protocolOf(value) }
}

function contentOf(
  body: string,
  { isBase64Encoded }: Readonly<Record<string, unknown>>,
): string | Buffer | undefined {
  if (body === '') return undefined
  return isBase64Encoded === true ? Buffer.from(body, 'base64') : body
}

function protocolOf(value: Readonly<Record<string, unknown>>): string | undefined {
  const { headers } = value
  const fields = typeof headers === 'object' && headers !== null ? Object.entries(headers).flat() : []
  return fieldOf(fields.map(String), 'sec-websocket-protocol')
}

function malformed(
  { log }: GuardHost,
  { function: name }: WebSocketRoute,
  { payload }: InvokeResult,
): RouteOutcome {
  const said = Buffer.from(payload).toString('utf8', 0, 200)
  log.warn('websocket.result', {
    message: `the result of ${name} is no { statusCode, headers, body }, which is an internal server error: ${said}`,
  })
  return { kind: 'failed' }
}
