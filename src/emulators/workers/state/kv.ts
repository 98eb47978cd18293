import type { Readable } from 'node:stream'

import { askJson, askState, fieldText, fieldValue, tellState, type StateResource } from './ask.ts'

export interface KvKey {
  readonly name: string
  /** Seconds since the epoch. */
  readonly expiration?: number | undefined
  readonly metadata?: unknown
}

interface KvPutOptions {
  /** Seconds since the epoch. */
  readonly expiration?: number | undefined
  /** Seconds from now. */
  readonly ttl?: number | undefined
  /** Any JSON value. */
  readonly metadata?: unknown
}

interface KvValue {
  readonly metadata: unknown
  /** To be read to its end, or destroyed. */
  readonly body: Readable
}

/** As `kv bulk put` files have it; `base64` is for bytes that are no text. */
export interface KvEntry {
  readonly key: string
  readonly value: string
  readonly base64?: boolean | undefined
  readonly expiration?: number | undefined
  readonly expiration_ttl?: number | undefined
  readonly metadata?: unknown
}

interface KvFound {
  readonly key: string
  /** Null when there is none. */
  readonly value: string | null
  readonly base64?: boolean | undefined
}

interface KeyPage {
  readonly keys: readonly KvKey[]
  readonly list_complete: boolean
  readonly cursor?: string | undefined
}

/** A KV namespace. Everything throws StateRefusal for what KV refuses. */
export interface KvNamespace {
  /** All keys that begin so, page by page. */
  list(prefix?: string): AsyncGenerator<KvKey>
  get(key: string): Promise<KvValue | undefined>
  put(key: string, value: Uint8Array | Readable, options?: KvPutOptions): Promise<void>
  delete(key: string): Promise<void>
  putAll(entries: readonly KvEntry[]): Promise<void>
  getAll(keys: readonly string[]): Promise<readonly KvFound[]>
  deleteAll(keys: readonly string[]): Promise<void>
}

/** Entries of one request to the runtime: what it holds at once. */
const BULK_MAX = 500

export function kvNamespace(resource: StateResource): KvNamespace {
  const bulk = async <T>(operation: string, list: readonly unknown[]): Promise<readonly T[]> => {
    const answers: T[] = []
    for (let at = 0; at < list.length; at += BULK_MAX) {
      const body = Buffer.from(JSON.stringify(list.slice(at, at + BULK_MAX)))
      answers.push(await askJson<T>(resource, { method: 'POST', operation, body }))
    }
    return answers
  }
  return {
    list: (prefix) => listKeys(resource, prefix),
    async get(key) {
      const answer = await askState(resource, { method: 'GET', operation: 'value', query: { key } })
      if (answer === undefined) return undefined
      return { metadata: fieldValue(answer.fields['flexi-metadata']), body: answer.body }
    },
    async put(key, body, { expiration, ttl, metadata } = {}) {
      await tellState(resource, {
        method: 'PUT',
        operation: 'value',
        query: { key, expiration, expiration_ttl: ttl },
        fields: metadata === undefined ? {} : { 'flexi-metadata': fieldText(metadata) },
        body,
      })
    },
    async delete(key) {
      await tellState(resource, { method: 'DELETE', operation: 'value', query: { key } })
    },
    putAll: async (entries) => void (await bulk('bulk-put', entries)),
    getAll: async (keys) => (await bulk<readonly KvFound[]>('bulk-get', keys)).flat(),
    deleteAll: async (keys) => void (await bulk('bulk-delete', keys)),
  }
}

async function* listKeys(resource: StateResource, prefix: string | undefined): AsyncGenerator<KvKey> {
  let cursor: string | undefined
  do {
    const page: KeyPage = await askJson(resource, {
      method: 'GET',
      operation: 'keys',
      query: { prefix, cursor },
    })
    yield* page.keys
    cursor = page.list_complete ? undefined : page.cursor
  } while (cursor !== undefined)
}
