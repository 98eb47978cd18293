import type { IncomingMessage, ServerResponse } from 'node:http'

import type { Invocation, Outcome } from './environment.ts'

export const ACCEPTED = { status: 202, body: { status: 'OK' } } as const

export function send(
  outgoing: ServerResponse,
  { id, event, deadline, trace, clientContext }: Invocation,
  functionArn: string,
): void {
  const body = typeof event === 'string' ? Buffer.from(event) : event
  outgoing.writeHead(200, {
    'Content-Type': 'application/json',
    'Content-Length': body.byteLength,
    'Lambda-Runtime-Aws-Request-Id': id,
    'Lambda-Runtime-Deadline-Ms': String(deadline),
    'Lambda-Runtime-Invoked-Function-Arn': functionArn,
    'Lambda-Runtime-Trace-Id': trace,
    ...(clientContext === undefined ? {} : { 'Lambda-Runtime-Client-Context': clientContext }),
  })
  outgoing.end(body)
}

export function answer(outgoing: ServerResponse, status: number, body: object): void {
  if (outgoing.destroyed) return
  const text = `${JSON.stringify(body)}\n`
  outgoing.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  })
  outgoing.end(text)
}

export function notFound(outgoing: ServerResponse): void {
  outgoing.writeHead(404, { 'Content-Type': 'text/plain' })
  outgoing.end('404 page not found\n')
}

export function drop(incoming: IncomingMessage): void {
  incoming.resume()
}

export function errorOutcome(errorType: string, errorMessage: string): Outcome {
  return { kind: 'error', payload: Buffer.from(JSON.stringify({ errorMessage, errorType })) }
}

const ERROR_CAUSE = 'application/vnd.aws.lambda.error.cause+json'

/** A runtime's error goes on as it is, but for one type of body that carries more than callers are to see. */
export function errorBody(incoming: IncomingMessage, payload: Buffer): Buffer {
  if (incoming.headers['content-type'] !== ERROR_CAUSE) return payload
  try {
    const { errorMessage, errorType, stackTrace } = JSON.parse(payload.toString()) as Record<string, unknown>
    return Buffer.from(JSON.stringify({ errorMessage, errorType, stackTrace }))
  } catch {
    return Buffer.from('Invalid error body')
  }
}

export function collect(
  incoming: IncomingMessage,
  bytesMax: number,
  done: (payload: Buffer | 'too large' | 'truncated') => void,
): void {
  const chunks: Buffer[] = []
  let bytes = 0
  incoming.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= bytesMax) chunks.push(chunk)
  })
  incoming.on('end', () => done(bytes > bytesMax ? 'too large' : Buffer.concat(chunks)))
  incoming.on('close', () => {
    if (!incoming.complete) done('truncated')
  })
}
