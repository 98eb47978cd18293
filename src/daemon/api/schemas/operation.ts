import type { z } from 'zod'

import type { Permission } from '../../model.ts'

/**
 * What a caller has to have before anything else is looked at. `any`: a token that is valid. `operator`: the socket of the machine's own
 * operator. A list: all of them.
 */
export type Needs = 'any' | 'operator' | readonly Permission[]

/** What an operation reads from a request's content. */
export type OperationBody =
  | { readonly kind: 'json'; readonly schema: z.ZodType }
  /** Media types that are taken. */
  | { readonly kind: 'bytes'; readonly types: readonly string[] }

/** What it answers with status 200. */
export type OperationAnswer =
  | { readonly kind: 'empty' }
  | { readonly kind: 'json'; readonly schema: z.ZodType }
  | { readonly kind: 'text'; readonly description: string }
  /** A JSON value a line (application/x-ndjson); empty lines only keep the connection from looking dead. */
  | { readonly kind: 'lines'; readonly schema: z.ZodType }

/** One operation of the API: what it takes, asks and answers. It validates, is in the OpenAPI document, and types the client. */
export interface Operation {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** `/api/functions/{name}` */
  readonly path: string
  readonly summary: string
  readonly description?: string | undefined
  readonly tag: 'YFASS' | 'Daemon' | 'Deployments' | 'Functions' | 'Users'
  readonly needs: Needs
  /** Parts of the path, by name. */
  readonly parameters?: z.ZodObject | undefined
  readonly query?: z.ZodObject | undefined
  readonly body?: OperationBody | undefined
  readonly answer: OperationAnswer
  /** Statuses of errors of its own, besides 400, 401, 403, 429 and 500. */
  readonly errors?: Readonly<Record<number, string>> | undefined
}

/** As nobody changes it. */
type Whole<T> = unknown extends T
  ? unknown
  : T extends string | number | boolean | null | undefined
    ? T
    : T extends readonly (infer Item)[]
      ? readonly Whole<Item>[]
      : { readonly [K in keyof T]: Whole<T[K]> }

/** What a client writes for the path. */
export type ParametersOf<O extends Operation> = O extends { readonly parameters: infer S extends z.ZodType }
  ? z.input<S>
  : undefined

/** What a handler is given of the path. */
export type ParsedParametersOf<O extends Operation> = O extends {
  readonly parameters: infer S extends z.ZodType
}
  ? z.output<S>
  : undefined

export type QueryOf<O extends Operation> = O extends { readonly query: infer S extends z.ZodType }
  ? z.input<S>
  : undefined

export type ParsedQueryOf<O extends Operation> = O extends { readonly query: infer S extends z.ZodType }
  ? z.output<S>
  : undefined

/** What a client sends: a JSON value, or `bytes`. */
export type BodyOf<O extends Operation> = O extends {
  readonly body: { readonly kind: 'json'; readonly schema: infer S extends z.ZodType }
}
  ? z.input<S>
  : O extends { readonly body: { readonly kind: 'bytes' } }
    ? 'bytes'
    : undefined

export type ParsedBodyOf<O extends Operation> = O extends {
  readonly body: { readonly kind: 'json'; readonly schema: infer S extends z.ZodType }
}
  ? z.output<S>
  : undefined

/** The JSON value of the answer, or of each of its lines. */
export type AnswerOf<O extends Operation> = O extends {
  readonly answer: { readonly kind: 'json' | 'lines'; readonly schema: infer S extends z.ZodType }
}
  ? Whole<z.output<S>>
  : O extends { readonly answer: { readonly kind: 'text' } }
    ? string
    : undefined
