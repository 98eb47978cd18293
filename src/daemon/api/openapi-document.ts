import { z } from 'zod'

import { apiError } from './schemas/daemon.ts'
import type { Operation, OperationAnswer, OperationBody } from './schemas/operation.ts'
import { operations } from './schemas/operations.ts'

type Json = Readonly<Record<string, unknown>>

const REFERENCES = '#/components/schemas/'

/** Statuses that every operation may answer with. */
const COMMON_ERRORS: Readonly<Record<number, string>> = {
  400: 'The request cannot be understood.',
  401: 'No token was sent.',
  403: 'The token is unknown, expired or revoked, or lacks a permission.',
  429: 'Too many wrong tokens came from this address, or too many uploads are under way.',
  500: 'The daemon failed.',
}

/** The OpenAPI 3.1 document of the API, made of the schemas that validate it. */
export function openApiDocument(options: { readonly url: string; readonly version: string }): Json {
  const components = new Components()
  const paths: Record<string, Record<string, unknown>> = {}
  for (const [id, operation] of Object.entries<Operation>(operations)) {
    const path = (paths[operation.path] ??= {})
    path[operation.method.toLowerCase()] = operationObject(id, operation, components)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'flexi daemon',
      version: options.version,
      description: 'Deploys functions, and says who may do what. Errors are JSON with "error".',
    },
    servers: [{ url: options.url }],
    security: [{ token: [] }],
    paths,
    components: {
      schemas: components.schemas,
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      responses: errorResponses(components),
    },
  }
}

/** Schemas with an id, each once. What is taken in and what is answered differ where something has a default. */
class Components {
  readonly schemas: Record<string, unknown> = {}

  /** A schema as it stands in an operation; those with an id are referred to. */
  use(schema: z.ZodType, io: 'input' | 'output'): unknown {
    const {
      $schema: _,
      $defs = {},
      ...json
    } = z.toJSONSchema(schema, {
      io,
      target: 'draft-2020-12',
      unrepresentable: 'any',
      reused: 'inline',
    }) as Json & { readonly $defs?: Json }
    for (const [name, definition] of Object.entries($defs)) this.#add(name, definition)
    const whole = referring(json)
    const { id } = json
    if (typeof id !== 'string') return whole
    this.#add(id, json)
    return { $ref: REFERENCES + id }
  }

  #add(name: string, definition: unknown): void {
    this.schemas[name] ??= referring(definition)
  }
}

/** `#/$defs/Group` → `#/components/schemas/Group`; ids are names here and no URLs. */
function referring(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(referring)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]) => {
      if (name === 'id' && typeof inner === 'string') return []
      if (name === '$ref' && typeof inner === 'string') return [[name, inner.replace('#/$defs/', REFERENCES)]]
      return [[name, referring(inner)]]
    }),
  )
}

function operationObject(id: string, operation: Operation, components: Components): Json {
  const { summary, description, tag, body } = operation
  return {
    operationId: id,
    summary,
    description: [description, neededText(operation)].filter((text) => text !== undefined).join('\n\n'),
    tags: [tag],
    parameters: [
      ...parameterObjects(operation.parameters, 'path', components),
      ...parameterObjects(operation.query, 'query', components),
    ],
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: bodyContent(body, components) } }),
    responses: { '200': answerObject(operation.answer, components), ...errorObjects(operation, components) },
  }
}

function neededText({ needs }: Operation): string {
  if (needs === 'any') return 'Takes any valid token.'
  if (needs === 'operator') return "Takes the operator's own socket on the machine."
  return `Takes ${needs.map((permission) => `permission:${permission}`).join(' and ')}.`
}

function parameterObjects(
  schema: z.ZodObject | undefined,
  place: 'path' | 'query',
  components: Components,
): readonly Json[] {
  return Object.entries(schema?.shape ?? {}).map(([name, part]) => {
    // What stands in a URL is what comes out of the schema: `?limit=20` is a number to people.
    const json = components.use(part as z.ZodType, 'output') as Json
    const { description, ...rest } = json
    return {
      name,
      in: place,
      required: place === 'path',
      ...(description === undefined ? {} : { description }),
      schema: rest,
    }
  })
}

function bodyContent(body: OperationBody, components: Components): Json {
  if (body.kind === 'json') return { 'application/json': { schema: components.use(body.schema, 'input') } }
  return Object.fromEntries(
    body.types.map((type) => [type, { schema: { type: 'string', format: 'binary' } }]),
  )
}

function answerObject(answer: OperationAnswer, components: Components): Json {
  switch (answer.kind) {
    case 'empty':
      return { description: 'Done.' }
    case 'text':
      return { description: answer.description, content: { 'text/plain': { schema: { type: 'string' } } } }
    case 'json':
      return {
        description: 'Done.',
        content: { 'application/json': { schema: components.use(answer.schema, 'output') } },
      }
    case 'lines':
      return {
        description: `A JSON value a line. Empty lines only say that the connection lives. Each line: ${lineName(answer.schema, components)}.`,
        content: { 'application/x-ndjson': { schema: { type: 'string' } } },
      }
  }
}

/** A text of lines has no schema of its own: the document names that of a line. */
function lineName(schema: z.ZodType, components: Components): string {
  const { $ref } = components.use(schema, 'output') as Json
  return String($ref)
}

function errorObjects(operation: Operation, components: Components): Json {
  const body: Readonly<Record<number, string>> =
    operation.body?.kind === 'json'
      ? { 413: 'The body is too large.', 415: 'The body is no JSON.', 422: 'The body has another shape.' }
      : {}
  const own = { ...body, ...operation.errors }
  return {
    ...Object.fromEntries(
      Object.keys(COMMON_ERRORS).map((status) => [status, { $ref: `#/components/responses/Error${status}` }]),
    ),
    ...Object.fromEntries(
      Object.entries(own).map(([status, description]) => [status, errorObject(description, components)]),
    ),
  }
}

function errorResponses(components: Components): Json {
  return Object.fromEntries(
    Object.entries(COMMON_ERRORS).map(([status, description]) => [
      `Error${status}`,
      errorObject(description, components),
    ]),
  )
}

function errorObject(description: string, components: Components): Json {
  return { description, content: { 'application/json': { schema: components.use(apiError, 'output') } } }
}
