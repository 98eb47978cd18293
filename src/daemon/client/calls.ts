import type { IncomingMessage } from 'node:http'

import { FlexiError } from '../../core/errors.ts'
import type { Call, OperationId, Operations } from '../api/schemas/operations.ts'
import type { DaemonAddress } from './address.ts'
import { exchange, type Exchange, type Upload } from './exchange.ts'
import { connectionError, type Refusal, refusalError } from './failures.ts'
import { jsonLines } from './lines.ts'

export interface ClientOptions {
  readonly address: DaemonAddress
  /** The operator's socket needs none. */
  readonly token: string | undefined
  /** Ends what is under way. */
  readonly signal?: AbortSignal | undefined
}

/** One operation as it is asked. The daemon's schemas say what fits, method and path included, so that a client cannot drift from them. */
type Asked<Id extends OperationId> = {
  readonly method: Operations[Id]['method']
  readonly path: Operations[Id]['path']
} & Field<'parameters', Call<Id>['parameters']> &
  Field<'query', Call<Id>['query']> &
  Field<'body', Call<Id>['body'] extends 'bytes' ? Upload : Call<Id>['body']>

type Field<Name extends string, T> = [T] extends [undefined]
  ? { readonly [K in Name]?: undefined }
  : { readonly [K in Name]: T }

/** The ways in which operations answer. Each throws the daemon's refusal as a FlexiError, FLEXI_DAEMON where nobody could be asked. */
export interface Calls {
  json<Id extends OperationId>(asked: Asked<Id>): Promise<Call<Id>['answer']>
  done<Id extends OperationId>(asked: Asked<Id>): Promise<void>
  /** False where the answer is 404. */
  found<Id extends OperationId>(asked: Asked<Id>): Promise<boolean>
  lines<Id extends OperationId>(asked: Asked<Id>): AsyncIterable<Call<Id>['answer']>
}

/** What all of `Asked` have in common. */
interface Operation {
  readonly method: string
  readonly path: string
  readonly parameters?: object | undefined
  readonly query?: object | undefined
  readonly body?: unknown
}

export function openCalls({ address, token, signal }: ClientOptions): Calls {
  const ask = (operation: Operation): Promise<IncomingMessage> =>
    exchange(address, { ...exchangeOf(operation, token), signal })
  const answered = async (operation: Operation): Promise<IncomingMessage> => {
    const incoming = await ask(operation)
    if (incoming.statusCode === 200) return incoming
    throw refusalError(address, await refusalOf(incoming, address))
  }
  return {
    // The one place that takes the daemon's word for the shape of an answer.
    json: async <Id extends OperationId>(asked: Asked<Id>) =>
      parsedAnswer(await textOf(await answered(asked), address), address) as Call<Id>['answer'],
    done: async (asked) => void (await textOf(await answered(asked), address)),
    found: async (asked) => {
      const refusal = await refusalOf(await ask(asked), address)
      if (refusal.status === 200 || refusal.status === 404) return refusal.status === 200
      throw refusalError(address, refusal)
    },
    lines: (asked) => linesOf(() => answered(asked), address, signal),
  }
}

async function* linesOf<T>(
  open: () => Promise<IncomingMessage>,
  address: DaemonAddress,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  const incoming = await open()
  try {
    yield* jsonLines(incoming) as AsyncGenerator<T, void, undefined>
  } catch (error) {
    signal?.throwIfAborted()
    throw connectionError(address, error)
  } finally {
    incoming.destroy()
  }
}

function exchangeOf(
  { method, path, parameters, query, body }: Operation,
  token: string | undefined,
): Exchange {
  const upload = isUpload(body) ? body : undefined
  const json = body === undefined || upload !== undefined ? undefined : Buffer.from(JSON.stringify(body))
  return {
    method,
    target: `${withParameters(path, parameters)}${queryOf(query)}`,
    fields: {
      accept: 'application/json, application/x-ndjson',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...(upload === undefined ? {} : { 'content-type': 'application/gzip' }),
    },
    content: upload ?? json,
  }
}

function isUpload(body: unknown): body is Upload {
  return typeof body === 'object' && body !== null && 'stream' in body && 'bytes' in body
}

/** `/api/functions/{name}` → `/api/functions/hello` */
function withParameters(path: string, parameters: object = {}): string {
  const values = new Map<string, unknown>(Object.entries(parameters))
  // The "@" of `name@version` may stand in a path, and is easier to read there.
  return path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(values.get(name))).replaceAll('%40', '@'),
  )
}

function queryOf(query: object = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value))
  return search.size === 0 ? '' : `?${search.toString()}`
}

async function refusalOf(incoming: IncomingMessage, address: DaemonAddress): Promise<Refusal> {
  return {
    status: incoming.statusCode ?? 0,
    contentType: incoming.headers['content-type'] ?? '',
    retryAfter: incoming.headers['retry-after'],
    body: await textOf(incoming, address),
  }
}

/** Far more than any answer that is no stream. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024

async function textOf(incoming: IncomingMessage, address: DaemonAddress): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > ANSWER_BYTES_MAX)
        throw new FlexiError('FLEXI_DAEMON', `${address.name} answers without end`)
      chunks.push(chunk)
    }
  } catch (error) {
    throw connectionError(address, error)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parsedAnswer(text: string, { name }: DaemonAddress): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const message = `what answers at ${name} is no flexi daemon: its answer is no JSON`
    throw new FlexiError('FLEXI_DAEMON', message, { cause })
  }
}
