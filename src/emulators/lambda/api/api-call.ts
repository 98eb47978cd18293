import { isUtf8 } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'

import { FlexiError } from '../../../core/errors.ts'
import type { RequestContext } from '../../../core/fetcher.ts'
import { readBody } from '../request-body.ts'
import { invalidContent, invalidValue, requestTooLarge } from './api-error.ts'

/** One request of the API, its operation known. */
export interface ApiCall {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly context: RequestContext
  /** What stands in the path, decoded. */
  readonly parameters: readonly string[]
  readonly query: URLSearchParams
}

export function queried(call: ApiCall, name: string): string | undefined {
  return call.query.get(name) ?? undefined
}

/** The value of a field that may only be one of these; the first is the default. @throws ApiError ValidationException. */
export function choice<T extends string>(call: ApiCall, field: string, values: readonly [T, ...T[]]): T {
  const text = textOf(call, field) ?? values[0]
  const value = values.find((one) => one === text)
  if (value !== undefined) return value
  const member = field.replace(/^x-amz-/, '').replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
  throw invalidValue(text, member, `Member must satisfy enum value set: [${values.join(', ')}]`)
}

/** The client context as JSON text. @throws ApiError when it is none. */
export function clientContextOf(call: ApiCall): string | undefined {
  const encoded = textOf(call, 'x-amz-client-context')
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString()
  if (isJsonObject(text)) return text
  throw invalidContent('Client context must be a valid Base64-encoded JSON object.')
}

/**
 * The event's bytes, which nobody has looked at but for their encoding.
 * @throws ApiError RequestTooLargeException, InvalidRequestContentException.
 */
export async function payloadOf(
  call: ApiCall,
  limit: { readonly bytesMax: number; readonly operation: string },
): Promise<Uint8Array> {
  try {
    const payload = (await readBody(call.incoming, limit.bytesMax)) ?? new Uint8Array()
    if (isUtf8(payload)) return payload
  } catch (error) {
    if (error instanceof FlexiError && error.code === 'FLEXI_BODY_TOO_LARGE')
      throw requestTooLarge(limit.bytesMax, limit.operation)
    throw error
  }
  throw invalidContent(
    'Could not parse request body into json: Could not parse payload into json: Invalid UTF-8',
  )
}

function textOf({ incoming }: ApiCall, field: string): string | undefined {
  const value = incoming.headers[field]
  return typeof value === 'string' ? value : undefined
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}
