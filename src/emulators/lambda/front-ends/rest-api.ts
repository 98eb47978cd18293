import { format1Answer, format1Event } from './format-1.ts'
import type { FrontEnd, HttpAnswer, Refusal } from './front-end.ts'

const TEN_MIB = 10 * 1024 * 1024

/** API Gateway's REST API with a proxy integration. */
export const restApi: FrontEnd = {
  streams: false,
  requestBytesMax: TEN_MIB,
  event: (request) => format1Event(request, { version: undefined }),
  answer: (payload, request) => format1Answer(payload, request, { decodesBase64: false }),
  refuse: (refusal) => REFUSALS[refusal],
}

const internalError: HttpAnswer = {
  status: 502,
  fields: ['content-type', 'application/json', 'x-amzn-errortype', 'InternalServerErrorException'],
  body: '{"message": "Internal server error"}',
}

const REFUSALS = {
  'function-error': internalError,
  'malformed-result': internalError,
  throttled: { ...internalError, status: 500 },
} as const satisfies Record<Refusal, HttpAnswer>
