import type { IncomingMessage } from 'node:http'

import type { z } from 'zod'

import { RefusedRequest } from './refusal.ts'
import type { Operation } from './schemas/operation.ts'

/** Bytes of a JSON body: a deployment of a thousand functions. */
const JSON_BYTES_MAX = 16 * 1024 * 1024

/** Faults that are told at once. */
const FAULTS_MAX = 20

/** Parts of the path by their schema. @throws RefusedRequest 400 */
export function readParameters(operation: Operation, parameters: Readonly<Record<string, string>>): unknown {
  return operation.parameters === undefined
    ? undefined
    : validated(operation.parameters, parameters, { status: 400, what: 'path' })
}

/** @throws RefusedRequest 400, for a name that is there twice too: which one would count? */
export function readQuery(operation: Operation, search: string): unknown {
  const { query } = operation
  const parameters = new URLSearchParams(search)
  const values: Record<string, string> = {}
  for (const [name, value] of parameters) {
    if (query === undefined || !Object.hasOwn(query.shape, name))
      throw new RefusedRequest(400, { error: `unknown parameter in the query: ${name.slice(0, 100)}` })
    if (Object.hasOwn(values, name))
      throw new RefusedRequest(400, { error: `${name} is in the query more than once` })
    values[name] = value
  }
  return query === undefined ? undefined : validated(query, values, { status: 400, what: 'query' })
}

/**
 * A JSON body, or the content itself where an operation takes bytes.
 * @throws RefusedRequest 415 for another media type (400 for archives, as YFASS), 413, 400 for what is no JSON, 422 for another shape.
 */
export async function readBody(operation: Operation, incoming: IncomingMessage): Promise<unknown> {
  const { body } = operation
  if (body === undefined) return undefined
  const type = mediaType(incoming)
  if (body.kind === 'bytes') {
    if (!body.types.includes(type)) throw wrongType(400, type, body.types)
    return incoming
  }
  if (!isJson(type)) throw wrongType(415, type, ['application/json'])
  requireUncoded(incoming)
  const value = parseJson(await readText(incoming))
  return validated(body.schema, value, { status: 422, what: 'body' })
}

function mediaType(incoming: IncomingMessage): string {
  return (incoming.headers['content-type']?.split(';')[0] ?? '').trim().toLowerCase()
}

function isJson(type: string): boolean {
  return type === 'application/json' || /^application\/[^/]+\+json$/.test(type)
}

function wrongType(status: number, type: string, expected: readonly string[]): RefusedRequest {
  const sent = type === '' ? 'no Content-Type' : `the Content-Type ${type}`
  return new RefusedRequest(status, {
    error: `${sent} is not taken here`,
    hint: `Send ${expected.join(' or ')}.`,
  })
}

function requireUncoded(incoming: IncomingMessage): void {
  const coding = incoming.headers['content-encoding']
  if (coding !== undefined && coding !== 'identity')
    throw new RefusedRequest(415, { error: `the Content-Encoding ${coding} is not taken here` })
}

async function readText(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > JSON_BYTES_MAX) {
      throw new RefusedRequest(413, {
        error: `the body is longer than ${JSON_BYTES_MAX} bytes`,
        code: 'FLEXI_BODY_TOO_LARGE',
      })
    }
    chunks.push(chunk)
  }
  return decodeUtf8(Buffer.concat(chunks))
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new RefusedRequest(400, { error: 'the body is no UTF-8' })
  }
}

function parseJson(text: string): unknown {
  try {
    return text.includes('__proto__') ? JSON.parse(text, refuseProto) : JSON.parse(text)
  } catch (error) {
    if (error instanceof RefusedRequest) throw error
    throw new RefusedRequest(400, {
      error: `the body is no JSON: ${error instanceof Error ? error.message : ''}`,
    })
  }
}

/** A key that would vanish on its way through an object. */
function refuseProto(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new RefusedRequest(422, { error: 'the key __proto__ is not taken' })
  return value
}

function validated(
  schema: z.ZodType,
  value: unknown,
  { status, what }: { readonly status: number; readonly what: string },
): unknown {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const faults = result.error.issues
    .slice(0, FAULTS_MAX)
    .map((issue) => ({ path: issue.path.join('.'), message: issue.message }))
  const [first] = faults
  const place = first === undefined || first.path === '' ? `the ${what}` : `${first.path} in the ${what}`
  throw new RefusedRequest(status, { error: `${place}: ${first?.message ?? 'is not as expected'}`, faults })
}
