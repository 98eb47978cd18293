import { SIX_MIB } from '../limits.ts'
import { format2Answer, format2Event } from './format-2.ts'
import type { FrontEnd, FrontEndRequest, HttpAnswer, Refusal } from './front-end.ts'
import { jsonAnswer } from './refusals.ts'

/** A function's own HTTPS endpoint, without authentication. Source: Lambda guide, function URLs. */
export const functionUrl: FrontEnd = {
  streams: true,
  takesBodyApart: true,
  requestBytesMax: SIX_MIB,
  waitMs: Infinity,
  event: (request: FrontEndRequest) =>
    format2Event(request, {
      routeKey: '$default',
      stage: '$default',
      accountId: 'anonymous',
      apiId: request.functionName,
      parameters: {},
      stageVariables: undefined,
    }),
  answer: format2Answer,
  refuse: (refusal) => REFUSALS[refusal],
  answerFields: ({ context, trace }) => ['x-amzn-requestid', context.id, 'x-amzn-trace-id', trace],
}

const internalError: HttpAnswer = {
  status: 502,
  fields: ['content-type', 'text/plain;charset=utf-8'],
  body: 'Internal Server Error',
}

const REFUSALS = {
  'function-error': internalError,
  'malformed-result': internalError,
  'timed-out': internalError,
  throttled: jsonAnswer(
    429,
    '{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}',
    'TooManyRequestsException',
  ),
  'too-large': jsonAnswer(
    413,
    `{"message":"Request must be smaller than ${SIX_MIB} bytes for the InvokeFunction operation"}`,
    'RequestTooLargeException',
  ),
} as const satisfies Record<Refusal, HttpAnswer>
