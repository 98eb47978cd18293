import { Agent, request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

import type { RuntimeSocket } from '../runtime-socket.ts'
import { TOKEN_FIELD, type Control, type ControlAnswer, type ControlRequest } from './control.ts'

export interface ControlClient extends Control {
  /** Breaks what is under way, and asks nothing more. */
  close(): void
}

/** Asks the control worker behind this socket. */
export function openControl(socket: RuntimeSocket, token: string): ControlClient {
  const agent = new Agent({ keepAlive: true })
  return {
    ask: (asked) => ask(asked, { socket, token, agent }),
    close: () => agent.destroy(),
  }
}

interface Way {
  readonly socket: RuntimeSocket
  readonly token: string
  readonly agent: Agent
}

function ask(asked: ControlRequest, { socket, token, agent }: Way): Promise<ControlAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      agent,
      ...(socket.path === undefined
        ? { host: socket.origin.hostname, port: socket.origin.port }
        : { socketPath: socket.path }),
      method: asked.method,
      path: asked.target,
      headers: { ...asked.fields, ...lengthOf(asked.body), [TOKEN_FIELD]: token },
    })
    outgoing.once('response', (response) => resolve(answerOf(response)))
    outgoing.once('error', reject)
    if (asked.body instanceof Readable) send(asked.body, outgoing)
    else outgoing.end(asked.body)
  })
}

function lengthOf(body: ControlRequest['body']): Record<string, string> {
  return body instanceof Uint8Array ? { 'content-length': String(body.byteLength) } : {}
}

/** A source that breaks breaks the request, and no half of it is taken for the whole. */
function send(body: Readable, outgoing: ReturnType<typeof request>): void {
  body.once('error', (error) => outgoing.destroy(error))
  body.pipe(outgoing)
}

function answerOf(response: IncomingMessage): ControlAnswer {
  return { status: response.statusCode ?? 0, fields: flat(response.headers), body: response }
}

function flat(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : (value ?? ''),
    ]),
  )
}
