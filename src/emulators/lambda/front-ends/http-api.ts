import { ACCOUNT_ID } from '../definition.ts'
import { format2Answer, format2Event } from './format-2.ts'
import { routeOptions, type FrontEnd, type HttpAnswer, type Refusal } from './front-end.ts'
import { format1Answer, format1Event } from './format-1.ts'

const TEN_MIB = 10 * 1024 * 1024

/** API Gateway's HTTP API with a proxy integration, in payload format 2.0 or 1.0. */
export const httpApi: FrontEnd = {
  streams: false,
  requestBytesMax: TEN_MIB,
  event(request) {
    const options = routeOptions(request.context)
    if (options?.payloadFormat === '1.0') return format1Event(request, { version: '1.0' })
    return format2Event(request, {
      routeKey: options?.routeKey ?? '$default',
      stage: options?.stage ?? '$default',
      accountId: ACCOUNT_ID,
      apiId: request.functionName,
      parameters: request.context.route?.parameters ?? {},
      stageVariables: options?.stageVariables,
    })
  },
  answer(payload, request) {
    const options = routeOptions(request.context)
    return options?.payloadFormat === '1.0'
      ? format1Answer(payload, request, { decodesBase64: true })
      : format2Answer(payload)
  },
  refuse: (refusal) => REFUSALS[refusal],
}

const internalError: HttpAnswer = {
  status: 500,
  fields: ['content-type', 'application/json'],
  body: '{"message":"Internal Server Error"}',
}

const REFUSALS = {
  'function-error': internalError,
  'malformed-result': internalError,
  throttled: {
    status: 503,
    fields: ['content-type', 'application/json'],
    body: '{"message":"Service Unavailable"}',
  },
} as const satisfies Record<Refusal, HttpAnswer>
