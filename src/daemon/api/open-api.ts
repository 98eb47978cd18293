import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

import { errorMessage } from '../../core/errors.ts'
import type { SocketFetcher } from '../../core/fetcher.ts'
import type { Logger } from '../../core/log.ts'
import type { Accounts } from '../accounts.ts'
import type { ControlPlane } from '../control-plane.ts'
import type { Caller } from '../model.ts'
import { daemonHandlers } from './daemon-handlers.ts'
import { functionHandlers } from './function-handlers.ts'
import type { Asked, Handlers } from './handler.ts'
import { openApiDocument } from './openapi-document.ts'
import { readBody, readParameters, readQuery } from './read-request.ts'
import { bugRefusal, RefusedRequest, refusalOf, type Refusal } from './refusal.ts'
import { openRouter, type Router } from './router.ts'
import type { Needs, Operation } from './schemas/operation.ts'
import { operations, type OperationId } from './schemas/operations.ts'
import { openUploadSlots, type UploadSlots } from './upload-slots.ts'
import { writeAnswer, writeRefusal } from './write-answer.ts'
import { writeLines } from './write-lines.ts'
import { yfassHandlers } from './yfass-handlers.ts'

export interface ApiOptions {
  readonly control: ControlPlane
  readonly accounts: Accounts
  /** Where clients find it, for the OpenAPI document: `http://example.com:8080` */
  readonly url: () => string
  /** Of flexi. */
  readonly version: string
  readonly log: Logger
  /** Aborts when the daemon begins to stop: who follows a log is let go, so that nothing waits for them. */
  readonly closing?: AbortSignal | undefined
}

interface ApiTools extends ApiOptions {
  readonly router: Router
  readonly uploads: UploadSlots
}

/** The daemon's API. */
export interface Api extends SocketFetcher {
  /** Answers on the operator's own socket: whoever can open it is root. */
  operator(incoming: IncomingMessage, outgoing: ServerResponse): void
}

const DOCUMENT_PATHS: ReadonlySet<string> = new Set(['/_flexi/api/openapi.json', '/openapi.json'])

/** Where requests on the operator's socket come from, and the id of the token that they do not have. */
const LOCAL = 'local'

const HANDLERS: Handlers = { ...yfassHandlers, ...functionHandlers, ...daemonHandlers }

/** Opens the API over a control plane and the accounts. */
export function openApi(options: ApiOptions): Api {
  const tools: ApiTools = { ...options, router: openRouter(operations), uploads: openUploadSlots() }
  let document: string | undefined
  const answer = async (exchange: ApiExchange): Promise<void> => {
    const { outgoing } = exchange
    try {
      if (exchange.method === 'GET' && DOCUMENT_PATHS.has(exchange.path)) {
        document ??= JSON.stringify(openApiDocument({ url: options.url(), version: options.version }))
        writeDocument(outgoing, document)
      } else {
        await perform(exchange, tools)
      }
    } catch (error) {
      writeRefusal(outgoing, refusalOf(error) ?? reportBug(error, exchange, options.log))
    }
  }
  return {
    handle: (incoming, outgoing, context) =>
      answer(
        exchangeOf(incoming, outgoing, {
          target: context.raw.target,
          from: context.clientAddress,
          id: () => context.id,
        }),
      ),
    operator: (incoming, outgoing) => {
      outgoing.on('error', ignore)
      void answer(
        exchangeOf(incoming, outgoing, { target: incoming.url ?? '/', from: LOCAL, id: randomUUID }),
      )
    },
  }
}

/** A request to the API, and where it came from. */
interface ApiExchange {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly method: string
  readonly path: string
  readonly search: string
  readonly from: string
  id(): string
}

function exchangeOf(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  from: { readonly target: string; readonly from: string; id(): string },
): ApiExchange {
  const [path = '', search = ''] = split(from.target, '?')
  return {
    incoming,
    outgoing,
    method: incoming.method ?? '',
    path,
    search,
    from: from.from,
    id: () => from.id(),
  }
}

function split(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator)
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

/** Who asks comes before what they ask: nobody learns from an error what they may not see. */
async function perform(exchange: ApiExchange, options: ApiTools): Promise<void> {
  const { incoming, outgoing } = exchange
  const { id, parameters } = options.router.match(exchange.method, exchange.path)
  const operation: Operation = operations[id]
  const caller = callerOf(exchange, options.accounts)
  requireNeeds(options.accounts, caller, operation.needs)
  using _ = operation.body?.kind === 'bytes' ? options.uploads.take(caller.user) : undefined
  const gone = goneSignal(outgoing)
  const asked = {
    caller,
    parameters: readParameters(operation, parameters),
    query: readQuery(operation, exchange.search),
    body: await readBody(operation, incoming),
    content: incoming,
    signal: gone,
    watching: options.closing === undefined ? gone : AbortSignal.any([gone, options.closing]),
  }
  const result = call(id, asked, options)
  if (operation.answer.kind !== 'lines') {
    writeAnswer(outgoing, operation, await result)
    return
  }
  const failure = (error: unknown): unknown => {
    const refusal = refusalOf(error) ?? reportBug(error, exchange, options.log)
    return id === 'createDeployment' ? failedEvent(refusal) : undefined
  }
  // A deployment is told to its end, also while the daemon stops; who watches a log is let go.
  const signal = id === 'createDeployment' ? asked.signal : asked.watching
  await writeLines(outgoing, result as AsyncIterable<unknown>, { signal, failure })
}

/** Each handler is given what its own operation's schemas have made of the request. */
function call(id: OperationId, asked: object, options: ApiOptions): unknown {
  const handler = HANDLERS[id] as (asked: Asked<never>, base: ApiOptions) => unknown
  return handler(asked as Asked<never>, options)
}

function callerOf({ incoming, from }: ApiExchange, accounts: Accounts): Caller {
  const { authorization, host } = incoming.headers
  if (from !== LOCAL) return accounts.authenticate(authorization, from)
  // A request that something forwards here by mistake has the name of what it was meant for.
  if (host !== 'localhost')
    throw new RefusedRequest(421, {
      error: "this is the operator's own socket, and not what was asked for",
      hint: 'Ask for http://localhost/api/… here.',
    })
  return authorization === undefined ? accounts.operator() : accounts.authenticate(authorization, from)
}

function requireNeeds(accounts: Accounts, caller: Caller, needs: Needs): void {
  if (needs === 'any') return
  if (needs !== 'operator') {
    for (const permission of needs) accounts.demand(caller, permission)
    return
  }
  if (caller.from === LOCAL && caller.token === LOCAL) return
  throw new RefusedRequest(403, {
    error: "this is for the operator's own socket on the machine alone",
    code: 'FLEXI_FORBIDDEN',
  })
}

function goneSignal(outgoing: ServerResponse): AbortSignal {
  const controller = new AbortController()
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) controller.abort()
  })
  return controller.signal
}

/** Where the answer of a deployment has begun, an error is its last line. */
function failedEvent({ body }: Refusal): unknown {
  const { error: message, code = 'FLEXI_BUG', hint, log = [] } = body
  return { event: 'failed', id: '', code, message, hint, log }
}

function reportBug(error: unknown, exchange: ApiExchange, log: Logger): Refusal {
  const request = exchange.id()
  if (!exchange.outgoing.destroyed)
    log.error('api.bug', {
      request,
      method: exchange.method,
      path: exchange.path,
      message: errorMessage(error),
      stack: error instanceof Error ? error.stack : undefined,
    })
  return bugRefusal(request)
}

function writeDocument(outgoing: ServerResponse, document: string): void {
  outgoing.writeHead(200, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(document),
    'Cache-Control': 'no-cache',
    'X-Content-Type-Options': 'nosniff',
  })
  outgoing.end(document)
}

function ignore(): void {}
