import { format2Answer, format2Event } from './format-2.ts'
import { SIX_MIB } from '../limits.ts'
import type { FrontEnd, FrontEndRequest, HttpAnswer, Refusal } from './front-end.ts'

/** A function's own HTTPS endpoint, without authentication. Source: Lambda guide, function URLs. */
export const functionUrl: FrontEnd = {
  streams: true,
  requestBytesMax: SIX_MIB,
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
}

const internalError: HttpAnswer = {
  status: 502,
  fields: ['content-type', 'text/plain;charset=utf-8'],
  body: 'Internal Server Error',
}

const REFUSALS = {
  'function-error': internalError,
  'malformed-result': internalError,
  throttled: {
    status: 429,
    fields: ['content-type', 'application/json', 'x-amzn-errortype', 'TooManyRequestsException'],
    body: '{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}',
  },
} as const satisfies Record<Refusal, HttpAnswer>
