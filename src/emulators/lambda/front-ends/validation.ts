import type { IncomingMessage } from 'node:http'

import type { RequestContext, SocketFetcher } from '../../../core/fetcher.ts'
import { discard } from '../../../forward/request-body.ts'
import { readAhead } from '../request-body.ts'
import { traceOf } from '../trace.ts'
import { mediaType } from './format-1.ts'
import { queryValues, splitTarget, type HttpAnswer } from './front-end.ts'
import { fieldOf } from './identity.ts'
import { openSchema } from './json-schema.ts'
import { passageOf } from './passage.ts'
import { jsonAnswer } from './refusals.ts'
import { restApi } from './rest-api.ts'
import { sendAnswer } from './send.ts'
import type { ValidationOptions } from './route-options.ts'

/** A REST API's request validator before its function. Source: API Gateway guide, request validation. */
export function validated(target: SocketFetcher, options: ValidationOptions): SocketFetcher {
  const validate = openValidation(options)
  return {
    async handle(incoming, outgoing, context) {
      const refusal = await validate(incoming, context)
      if (refusal === undefined) {
        await target.handle(incoming, outgoing, context)
        return
      }
      const request = { context, trace: traceOf(context), passage: passageOf(context) }
      sendAnswer(outgoing, refusal, { frontEnd: restApi, request })
      discard(incoming)
    },
  }
}

/** The answer to a request that has not what it must have. */
type Validate = (incoming: IncomingMessage, context: RequestContext) => Promise<HttpAnswer | undefined>

function openValidation({ parameters = [], models }: ValidationOptions): Validate {
  const schemas = new Map(
    Object.entries(models ?? {}).map(([type, schema]) => [type.toLowerCase(), openSchema(schema)]),
  )
  return async (incoming, context) => {
    const missing = parameters.filter((parameter) => isMissing(parameter, context)).map(nameOf)
    if (missing.length > 0) return badRequest(`Missing required request parameters: [${missing.join(', ')}]`)
    if (schemas.size === 0) return undefined
    const type = mediaType(fieldOf(context.raw.fields, 'content-type')) || 'application/json'
    // A body of a type that no model is for is not looked at.
    const isValid = schemas.get(type) ?? schemas.get('$default')
    if (isValid === undefined) return undefined
    return (await hasValidBody(incoming, isValid)) ? undefined : badRequest('Invalid request body')
  }
}

async function hasValidBody(
  incoming: IncomingMessage,
  isValid: (value: unknown) => boolean,
): Promise<boolean> {
  let body: Buffer | undefined
  try {
    body = await readAhead(incoming, restApi.requestBytesMax)
  } catch {
    // Whoever reads it next says what is wrong with it.
    return true
  }
  try {
    return isValid(JSON.parse(body?.toString() ?? ''))
  } catch {
    return false
  }
}

/** `querystring.page` */
function isMissing(parameter: string, { raw, route }: RequestContext): boolean {
  const name = nameOf(parameter)
  if (parameter.startsWith('header.')) return (fieldOf(raw.fields, name) ?? '') === ''
  if (parameter.startsWith('path.')) return (route?.parameters[name] ?? '') === ''
  return (queryValues(splitTarget(raw.target).query).get(name)?.at(-1) ?? '') === ''
}

function nameOf(parameter: string): string {
  return parameter.slice(parameter.indexOf('.') + 1)
}

function badRequest(message: string): HttpAnswer {
  return jsonAnswer(400, JSON.stringify({ message }), 'BadRequestException')
}
