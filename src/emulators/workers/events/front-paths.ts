import type { IncomingMessage, ServerResponse } from 'node:http'

import { errorMessage, FlexiError } from '../../../core/errors.ts'
import type { RequestContext } from '../../../core/fetcher.ts'
import type { FunctionScope } from '../../../core/function.ts'
import { discard } from '../../../forward/request-body.ts'
import type { Config } from '../configuration.ts'
import type { Control } from '../control/control.ts'
import { refusalOf } from './trusted-hosts.ts'
import { readTrigger, TRIGGER_KINDS, type TriggerKind } from './trigger-request.ts'
import { tellOutcome } from './trigger-story.ts'
import { trigger, type TriggerResult } from './trigger.ts'

export interface TriggerExchange {
  /** The worker's name in the runtime. */
  readonly worker: string
  readonly config: Pick<Config, 'route' | 'routes'>
  readonly scope: Pick<FunctionScope, 'output' | 'stateDirectory'>
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly context: RequestContext
}

interface Path {
  readonly kind: TriggerKind
  /** How `__scheduled` of wrangler's --test-scheduled words a good end. */
  readonly done?: string
  readonly deprecated?: string
}

const PATHS: Readonly<Record<string, Path>> = {
  '/cdn-cgi/handler/scheduled': { kind: 'scheduled' },
  '/cdn-cgi/handler/queue': { kind: 'queue' },
  '/cdn-cgi/handler/email': { kind: 'email' },
  '/cdn-cgi/local/scheduled': { kind: 'scheduled' },
  '/cdn-cgi/local/email': { kind: 'email' },
  '/cdn-cgi/mf/scheduled': {
    kind: 'scheduled',
    deprecated: '/cdn-cgi/mf/scheduled is deprecated: ask for /cdn-cgi/handler/scheduled',
  },
  '/__scheduled': { kind: 'scheduled', done: 'Ran scheduled event' },
}

/**
 * Answers a target of `isTriggerPath` as `wrangler dev` does: runs the handler, and says how it ended.
 * Source: wrangler 4.86 and its `--test-scheduled`; `/cdn-cgi/local/` is what later ones call it, `queue` is flexi's own.
 */
export async function handleTrigger(control: Control, exchange: TriggerExchange): Promise<void> {
  const { incoming, outgoing, context, config, scope } = exchange
  const url = new URL(context.raw.target, 'http://localhost')
  const refusal = refusalOf(incoming.headers, config)
  const path = PATHS[url.pathname]
  if (refusal !== undefined) return refuse(exchange, 403, refusal)
  if (path === undefined) return refuse(exchange, 404, unknownPath(url.pathname))
  if (path.deprecated !== undefined)
    scope.output({ stream: 'platform', level: 'warn', text: path.deprecated })
  try {
    const event = await readTrigger(path.kind, { query: url.searchParams, incoming, now: Date.now() })
    const result = await trigger(control, exchange.worker, event)
    await tellOutcome(scope, event, result)
    const { status, text } = answerOf(path, result)
    if (url.searchParams.get('format') === 'json') sendJson(outgoing, status, result)
    else sendText(outgoing, status, text)
  } catch (error) {
    if (!(error instanceof FlexiError)) throw error
    refuse(exchange, error.status === 400 ? 400 : 500, errorMessage(error))
  }
}

function answerOf({ kind, done }: Path, result: TriggerResult): { status: number; text: string } {
  const isOk = result.outcome === 'ok'
  if (kind !== 'email') return { status: isOk ? 200 : 500, text: isOk ? (done ?? 'ok') : result.outcome }
  const { error, rejected } = result
  if (!isOk) return { status: 500, text: `${error?.name}: ${error?.message}` }
  if (rejected !== undefined)
    return { status: 400, text: `Worker rejected email with the following reason: ${rejected}` }
  return { status: 200, text: 'Worker successfully processed email' }
}

function unknownPath(path: string): string {
  const known = TRIGGER_KINDS.map((kind) => `"/cdn-cgi/handler/${kind}"`)
  return `"${path}" is not a valid handler. Did you mean ${known.join(' or ')}?`
}

function refuse({ incoming, outgoing }: TriggerExchange, status: number, text: string): void {
  sendText(outgoing, status, text)
  discard(incoming)
}

export function sendJson(outgoing: ServerResponse, status: number, value: unknown): void {
  send(outgoing, status, { type: 'application/json', text: JSON.stringify(value) })
}

function sendText(outgoing: ServerResponse, status: number, text: string): void {
  send(outgoing, status, { type: 'text/plain;charset=UTF-8', text })
}

function send(
  outgoing: ServerResponse,
  status: number,
  { type, text }: { readonly type: string; readonly text: string },
): void {
  const content = Buffer.from(text)
  outgoing.writeHead(status, { 'content-type': type, 'content-length': content.length })
  outgoing.end(content)
}
