import { extendedRequestId, format1Event } from './format-1.ts'
import { format1Answer } from './format-1-answer.ts'
import type { FrontEnd, HttpAnswer, Refusal } from './front-end.ts'
import { jsonAnswer } from './refusals.ts'

const TEN_MIB = 10 * 1024 * 1024

/** API Gateway's REST API with a proxy integration. */
export const restApi: FrontEnd = {
  streams: false,
  takesBodyApart: true,
  requestBytesMax: TEN_MIB,
  waitMs: 29_000,
  event: (request) => format1Event(request, { version: undefined }),
  answer: (payload, request) => format1Answer(payload, request, { decodesBase64: false }),
  refuse: (refusal) => REFUSALS[refusal],
  answerFields: ({ context, trace }) => [
    'x-amzn-requestid',
    context.id,
    'x-amz-apigw-id',
    extendedRequestId(context.id),
    'x-amzn-trace-id',
    trace,
  ],
}

const internalError = jsonAnswer(502, '{"message": "Internal server error"}', 'InternalServerErrorException')

const REFUSALS = {
  'function-error': internalError,
  'malformed-result': internalError,
  'timed-out': jsonAnswer(504, '{"message": "Endpoint request timed out"}', 'InternalServerErrorException'),
  throttled: { ...internalError, status: 500 },
  'too-large': jsonAnswer(413, '{"message":"Request Too Long"}', 'RequestTooLargeException'),
} as const satisfies Record<Refusal, HttpAnswer>
