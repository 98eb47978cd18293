import type { IncomingMessage } from 'node:http'

import type { RequestContext } from '../../core/fetcher.ts'
import type { FunctionConfig, FunctionFault, FunctionScope } from '../../core/function.ts'
import { readContent } from './content.ts'
import type { Outcome } from './dispatcher.ts'
import { writeResult, writeServerError, type Exchange } from './respond.ts'

/** Whose library answers, for reports. */
export interface Answerer {
  readonly config: FunctionConfig
  readonly scope: FunctionScope
  /** As the person wrote it, for messages. */
  readonly library: string
}

const NO_CONTENT: readonly Buffer[] = []

/** The request's body; without a promise where it has none. */
export function contentOf(
  incoming: IncomingMessage,
  context: RequestContext,
): readonly Buffer[] | Promise<readonly Buffer[]> {
  return hasContent(incoming, context) ? readContent(incoming) : NO_CONTENT
}

/** Sends what came of a call. @throws FlexiError when the call was lost with its process. */
export function answerOutcome(exchange: Exchange, outcome: Outcome, answerer: Answerer): void {
  switch (outcome.kind) {
    case 'result': {
      const problem = writeResult(exchange, outcome.result)
      if (problem !== undefined) answerFault(exchange, badResponse(problem), answerer)
      return
    }
    case 'nothing':
      // A library's way to throw.
      answerFault(
        exchange,
        { kind: 'throw', name: 'NULL', message: 'handle_request returned NULL' },
        answerer,
      )
      return
    case 'invalid':
      answerFault(exchange, badResponse(outcome.message), answerer)
      return
    case 'lost':
      if (outcome.fault !== undefined && exchange.context.explain(outcome.fault, exchange.outgoing)) return
      throw outcome.error
  }
}

function badResponse(message: string): Pick<FunctionFault, 'kind' | 'name' | 'message'> {
  return { kind: 'result', name: 'BadResponse', message }
}

function answerFault(
  { context, outgoing }: Exchange,
  { kind, name, message }: Pick<FunctionFault, 'kind' | 'name' | 'message'>,
  { config, scope, library }: Answerer,
): void {
  const where = `${context.raw.method} ${context.raw.target}`
  const fault: FunctionFault = {
    function: config.name,
    kind,
    name,
    message: `${library}: ${message}, in answer to ${where}`,
    requestId: context.id,
  }
  scope.report(fault)
  if (!context.explain(fault, outgoing)) writeServerError(outgoing)
}

/** RFC 9112 6.3: a request of HTTP/1 has content when one of these fields is there, and only then. */
function hasContent({ httpVersionMajor }: IncomingMessage, { raw }: RequestContext): boolean {
  if (httpVersionMajor > 1) return true
  for (let index = 0; index < raw.fields.length; index += 2) {
    const name = raw.fields[index] ?? ''
    if (name.length !== 14 && name.length !== 17) continue
    const lower = name.toLowerCase()
    if (lower === 'content-length' || lower === 'transfer-encoding') return true
  }
  return false
}
