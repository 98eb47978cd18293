import type { Readable } from 'node:stream'

import { askJson, askState, fieldText, tellState, type StateResource } from './ask.ts'

export interface HttpMetadata {
  readonly contentType?: string | undefined
  readonly contentLanguage?: string | undefined
  readonly contentDisposition?: string | undefined
  readonly contentEncoding?: string | undefined
  readonly cacheControl?: string | undefined
  /** A date in ISO 8601. */
  readonly cacheExpiry?: string | undefined
}

export interface R2Object {
  readonly key: string
  readonly size: number
  readonly etag: string
  /** A date in ISO 8601. */
  readonly uploaded: string
  readonly httpMetadata?: HttpMetadata | undefined
  readonly customMetadata?: Readonly<Record<string, string>> | undefined
  readonly storageClass?: string | undefined
}

interface R2PutOptions {
  readonly httpMetadata?: HttpMetadata | undefined
  readonly customMetadata?: Readonly<Record<string, string>> | undefined
  /** Must be known of a stream. */
  readonly bytes: number
}

interface ObjectPage {
  readonly objects: readonly R2Object[]
  readonly truncated: boolean
  readonly cursor?: string | undefined
}

/** An R2 bucket. Everything throws StateRefusal for what R2 refuses. */
export interface R2Bucket {
  /** All objects whose keys begin so, page by page. */
  list(prefix?: string): AsyncGenerator<R2Object>
  head(key: string): Promise<R2Object | undefined>
  /** Its bytes, to be read to their end, or destroyed. */
  get(key: string): Promise<Readable | undefined>
  put(key: string, content: Uint8Array | Readable, options: R2PutOptions): Promise<R2Object>
  delete(key: string): Promise<void>
}

export function r2Bucket(resource: StateResource): R2Bucket {
  return {
    list: (prefix) => listObjects(resource, prefix),
    async head(key) {
      const answer = await askState(resource, { method: 'GET', operation: 'info', query: { key } })
      if (answer === undefined) return undefined
      const { json } = await import('node:stream/consumers')
      return (await json(answer.body)) as R2Object
    },
    async get(key) {
      return (await askState(resource, { method: 'GET', operation: 'object', query: { key } }))?.body
    },
    put: (key, body, { bytes, ...metadata }) =>
      askJson(resource, {
        method: 'PUT',
        operation: 'object',
        query: { key },
        fields: { 'content-length': String(bytes), 'flexi-object': fieldText(metadata) },
        body,
      }),
    async delete(key) {
      await tellState(resource, { method: 'DELETE', operation: 'object', query: { key } })
    },
  }
}

async function* listObjects(resource: StateResource, prefix: string | undefined): AsyncGenerator<R2Object> {
  let cursor: string | undefined
  do {
    const page: ObjectPage = await askJson(resource, {
      method: 'GET',
      operation: 'objects',
      query: { prefix, cursor },
    })
    yield* page.objects
    cursor = page.truncated ? page.cursor : undefined
  } while (cursor !== undefined)
}
