import type { ServerResponse } from 'node:http'

import type { Refusal } from './refusal.ts'
import type { Operation } from './schemas/operation.ts'

/** Answers are about one moment and for one caller. */
const COMMON = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' }

const JSON_TYPE = 'application/json'

/** The answer of an operation that is no stream. */
export function writeAnswer(outgoing: ServerResponse, operation: Operation, value: unknown): void {
  switch (operation.answer.kind) {
    case 'json':
      return send(outgoing, 200, { type: JSON_TYPE, text: JSON.stringify(value) })
    case 'text':
      return send(outgoing, 200, { type: 'text/plain; charset=utf-8', text: String(value) })
    case 'empty':
      return send(outgoing, 200)
    case 'lines':
      throw new TypeError('lines are written one by one')
  }
}

export function writeRefusal(outgoing: ServerResponse, { status, body, fields }: Refusal): void {
  if (outgoing.headersSent || outgoing.destroyed) {
    outgoing.destroy()
    return
  }
  send(outgoing, status, { type: JSON_TYPE, text: JSON.stringify(body), fields })
}

interface Content {
  readonly type: string
  readonly text: string
  readonly fields?: Readonly<Record<string, string>> | undefined
}

function send(outgoing: ServerResponse, status: number, content?: Content): void {
  const bytes = Buffer.from(content?.text ?? '')
  outgoing.writeHead(status, {
    ...COMMON,
    ...(content === undefined ? {} : { 'Content-Type': content.type }),
    'Content-Length': bytes.length,
    ...content?.fields,
  })
  outgoing.end(bytes)
}

/** The head of an answer that comes line by line; nothing on the way shall hold it back. */
export function beginLines(outgoing: ServerResponse): void {
  if (outgoing.headersSent) return
  outgoing.writeHead(200, {
    ...COMMON,
    'Content-Type': 'application/x-ndjson',
    // What nginx calls its buffering of answers.
    'X-Accel-Buffering': 'no',
  })
  outgoing.flushHeaders()
}
