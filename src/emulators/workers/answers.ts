import type { ServerResponse } from 'node:http'

/** What Cloudflare's edge answers in a worker's place, as it does to clients that are no browsers. */
const ANSWERS = {
  /** 1101: the worker threw. */
  thrown: { status: 500, text: 'error code: 1101', fields: {} },
  /** 1102: the worker exceeded its limits of time or memory. */
  exceeded: { status: 503, text: 'error code: 1102', fields: {} },
  /** The runtime ended for a reason that need not be this request's. */
  ended: {
    status: 503,
    text: 'The Workers runtime ended while it held this request. Send it again.',
    fields: { 'retry-after': '1' },
  },
} as const

export type AnswerKind = keyof typeof ANSWERS

export function answerWith(kind: AnswerKind, outgoing: ServerResponse): void {
  const { status, text, fields } = ANSWERS[kind]
  outgoing.writeHead(status, {
    'content-type': 'text/plain; charset=UTF-8',
    'content-length': text.length,
    'cache-control': 'no-store',
    ...fields,
  })
  outgoing.end(text)
}

export function statusOf(kind: AnswerKind): number {
  return ANSWERS[kind].status
}

/** The same for a request that asked for another protocol. */
export function upgradeAnswer(kind: AnswerKind): string {
  const { status, text } = ANSWERS[kind]
  return `HTTP/1.1 ${status} ${status === 500 ? 'Internal Server Error' : 'Service Unavailable'}\r\nConnection: close\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: ${text.length}\r\n\r\n${text}`
}
