import type { ServerResponse } from 'node:http'

import type { FrontEnd, FrontEndRequest, HttpAnswer } from './front-end.ts'

type AnsweredRequest = Pick<FrontEndRequest, 'context' | 'trace' | 'passage'>

/** The fields of an answer with those that its endpoint writes itself. */
export function headFields(
  fields: readonly string[],
  frontEnd: FrontEnd,
  request: AnsweredRequest,
): string[] {
  const cors = request.passage?.corsFields
  const own = frontEnd.answerFields(request)
  return cors === undefined ? [...fields, ...own] : [...withoutCors(fields), ...cors, ...own]
}

function withoutCors(fields: readonly string[]): string[] {
  const kept: string[] = []
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    if (!name.toLowerCase().startsWith('access-control-')) kept.push(name, fields[index + 1] ?? '')
  }
  return kept
}

/** Answers in place of the function. */
export function sendAnswer(
  outgoing: ServerResponse,
  { status, fields, body }: HttpAnswer,
  { frontEnd, request }: { readonly frontEnd: FrontEnd; readonly request: AnsweredRequest },
): void {
  if (outgoing.headersSent || outgoing.destroyed) return
  const length = status === 204 ? [] : ['content-length', String(Buffer.byteLength(body))]
  outgoing.writeHead(status, [...headFields(fields, frontEnd, request), ...length])
  outgoing.end(body)
}
