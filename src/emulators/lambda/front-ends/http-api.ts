import { ACCOUNT_ID } from '../definition.ts'
import { format1Event } from './format-1.ts'
import { format1Answer } from './format-1-answer.ts'
import { format2Answer, format2Event } from './format-2.ts'
import {
  routeOptions,
  type FrontEnd,
  type FrontEndRequest,
  type HttpAnswer,
  type Refusal,
} from './front-end.ts'
import { jsonAnswer } from './refusals.ts'

const TEN_MIB = 10 * 1024 * 1024

/** API Gateway's HTTP API with a proxy integration, in payload format 2.0 or 1.0. */
export const httpApi: FrontEnd = {
  streams: false,
  takesBodyApart: true,
  requestBytesMax: TEN_MIB,
  waitMs: 30_000,
  event(request) {
    const isFormat1 = routeOptions(request.context)?.payloadFormat === '1.0'
    return isFormat1 ? format1Event(request, { version: '1.0' }) : httpApiEvent2(request)
  },
  answer(payload, request) {
    const options = routeOptions(request.context)
    return options?.payloadFormat === '1.0'
      ? format1Answer(payload, request, { decodesBase64: true })
      : format2Answer(payload)
  },
  refuse: (refusal) => REFUSALS[refusal],
  // The name of REST APIs' field is another one.
  answerFields: ({ context }) => ['apigw-requestid', `${context.id.slice(0, 15)}=`],
}

/** The event in payload format 2.0, whatever the route says. */
export function httpApiEvent2(request: FrontEndRequest): string {
  const options = routeOptions(request.context)
  return format2Event(request, {
    routeKey: options?.routeKey ?? '$default',
    stage: options?.stage ?? '$default',
    accountId: ACCOUNT_ID,
    apiId: options?.apiId ?? request.functionName,
    parameters: request.context.route?.parameters ?? {},
    stageVariables: options?.stageVariables,
  })
}

const internalError = jsonAnswer(500, '{"message":"Internal Server Error"}')
const unavailable = jsonAnswer(503, '{"message":"Service Unavailable"}')

const REFUSALS = {
  'function-error': internalError,
  'malformed-result': internalError,
  'timed-out': unavailable,
  throttled: unavailable,
  'too-large': jsonAnswer(413, '{"message":"Request Entity Too Large"}'),
} as const satisfies Record<Refusal, HttpAnswer>
