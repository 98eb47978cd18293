import { queried, type ApiCall } from './api-call.ts'
import { invalidParameter, invalidValue } from './api-error.ts'

/** Items of a page when the caller does not say, and at most. */
const PAGE_ITEMS = 50

export interface Page<T> {
  readonly items: readonly T[]
  /** For the next page; undefined where there is none. */
  readonly next: string | undefined
}

/** A marker is the key of the last item of the page before. @throws ApiError for one that names none, and for a size that cannot be. */
export function page<T>(call: ApiCall, all: readonly T[], keyOf: (item: T) => string): Page<T> {
  const marker = queried(call, 'Marker')
  const size = queried(call, 'MaxItems') ?? String(PAGE_ITEMS)
  if (!/^[1-9]\d{0,4}$/.test(size))
    throw invalidValue(size, 'maxItems', 'Member must have value between 1 and 10000')
  const last = marker === undefined ? undefined : Buffer.from(marker, 'base64url').toString()
  const before = last === undefined ? -1 : all.findIndex((item) => keyOf(item) === last)
  if (last !== undefined && before === -1) throw invalidParameter('The pagination token is invalid.')
  const end = before + 1 + Math.min(Number(size), PAGE_ITEMS)
  const items = all.slice(before + 1, end)
  const final = items.at(-1)
  const more = end < all.length && final !== undefined
  return { items, next: more ? Buffer.from(keyOf(final)).toString('base64url') : undefined }
}
