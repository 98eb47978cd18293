import { isUtf8 } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'

import { FlexiError } from '../../../core/errors.ts'
import type { RequestContext, SocketFetcher } from '../../../core/fetcher.ts'
import { discard } from '../../../forward/request-body.ts'
import { splitTarget } from '../front-ends/front-end.ts'
import { readBody } from '../request-body.ts'
import type { OpenConnection } from './web-sockets.ts'

/** Bytes of a message that is sent to a client. */
const MESSAGE_BYTES_MAX = 128 * 1024

/** What an answer says: JSON, or nothing. */
interface Answer {
  readonly status: number
  readonly body?: object
  /** As SDKs name the exception. */
  readonly errorType?: string
}

interface Asked {
  readonly incoming: IncomingMessage
  readonly connection: OpenConnection
}

/** API Gateway's Management API for these connections. Nobody has to sign: ids are not to be guessed. */
export function managementOf(connections: ReadonlyMap<string, OpenConnection>): SocketFetcher {
  return {
    async handle(incoming, outgoing, context) {
      const answer = await answerTo(incoming, context, connections)
      if (outgoing.destroyed) return
      const body = answer.body === undefined ? '' : JSON.stringify(answer.body)
      outgoing.writeHead(answer.status, fieldsOf(answer, body, context))
      outgoing.end(body)
      discard(incoming)
      await finished(outgoing)
    },
  }
}

function finished(outgoing: ServerResponse): Promise<void> {
  return outgoing.closed ? Promise.resolve() : new Promise((resolve) => outgoing.once('close', resolve))
}

function fieldsOf({ status, errorType }: Answer, body: string, { id }: RequestContext): string[] {
  const type = body === '' ? [] : ['content-type', 'application/json']
  const error = errorType === undefined ? [] : ['x-amzn-errortype', errorType]
  const length = status === 204 ? [] : ['content-length', String(Buffer.byteLength(body))]
  return [...type, 'x-amzn-requestid', id, ...error, ...length]
}

async function answerTo(
  incoming: IncomingMessage,
  { raw }: RequestContext,
  connections: ReadonlyMap<string, OpenConnection>,
): Promise<Answer> {
  const id = connectionIdOf(raw.target)
  if (id === undefined)
    return refusal(403, 'MissingAuthenticationTokenException', 'Missing Authentication Token')
  if (!/^[\w-]{1,64}={0,2}$/.test(id))
    return refusal(400, 'BadRequestException', `Invalid connectionId: ${id}`)
  const connection = connections.get(id)
  if (connection === undefined) return GONE
  const operation = OPERATIONS.get(raw.method)
  return operation === undefined
    ? refusal(403, 'MissingAuthenticationTokenException', 'Missing Authentication Token')
    : await operation({ incoming, connection })
}

/** `/dev/@connections/L0SM9cOFvHcCIhw%3D` → `L0SM9cOFvHcCIhw=` */
function connectionIdOf(target: string): string | undefined {
  const encoded = /\/(?:@|%40)connections\/([^/]+)\/?$/.exec(splitTarget(target).path)?.[1]
  if (encoded === undefined) return undefined
  try {
    return decodeURIComponent(encoded)
  } catch {
    return encoded
  }
}

type Operation = (asked: Asked) => Answer | Promise<Answer>

const OPERATIONS: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ['POST', post],
  ['GET', ({ connection }) => ({ status: 200, body: stateOf(connection) })],
  ['DELETE', remove],
])

async function post({ incoming, connection }: Asked): Promise<Answer> {
  let data: Buffer | undefined
  try {
    data = await readBody(incoming, MESSAGE_BYTES_MAX)
  } catch (error) {
    if (!(error instanceof FlexiError) || error.code !== 'FLEXI_BODY_TOO_LARGE') throw error
    return refusal(413, 'PayloadTooLargeException', 'Message too long')
  }
  const message = data ?? Buffer.alloc(0)
  // Text unless it cannot be: no client would take a text frame that is not UTF-8.
  const sent = connection.send(isUtf8(message) ? message.toString() : message)
  return sent ? { status: 200 } : refusal(429, 'LimitExceededException', 'The client takes no messages')
}

function remove({ connection }: Asked): Answer {
  connection.close({ code: 1000, reason: 'Connection Closed Normally' })
  return { status: 204 }
}

function stateOf({ client, lastActiveAt }: OpenConnection): object {
  const { sourceIp, userAgent } = client
  return {
    connectedAt: new Date(client.connectedAt).toISOString(),
    identity: { sourceIp, ...(userAgent === undefined ? {} : { userAgent }) },
    lastActiveAt: new Date(lastActiveAt).toISOString(),
  }
}

const GONE = refusal(410, 'GoneException', 'Gone')

function refusal(status: number, errorType: string, message: string): Answer {
  return { status, errorType, body: { message } }
}
