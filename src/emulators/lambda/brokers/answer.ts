import type { ServerResponse } from 'node:http'

import type { BrokerError } from './broker-error.ts'

/** `application/x-amz-json-1.0` for SQS, 1.1 for EventBridge. */
export type JsonType = 'application/x-amz-json-1.0' | 'application/x-amz-json-1.1'

export function sendJson(outgoing: ServerResponse, type: JsonType, body: unknown): void {
  send(outgoing, { status: 200, type, text: JSON.stringify(body) })
}

export function sendJsonError(
  outgoing: ServerResponse,
  type: JsonType,
  { error, shapes }: { readonly error: BrokerError; readonly shapes: string },
): void {
  // SDKs that knew SQS before its JSON protocol tell errors apart by the old code.
  if (type === 'application/x-amz-json-1.0') outgoing.setHeader('x-amzn-query-error', `${error.code};Sender`)
  const text = JSON.stringify({ __type: `${shapes}#${error.type}`, message: error.message })
  send(outgoing, { status: error.status, type, text })
}

export function send(
  outgoing: ServerResponse,
  { status, type, text }: { readonly status: number; readonly type: string; readonly text: string },
): void {
  outgoing.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) })
  outgoing.end(text)
}
