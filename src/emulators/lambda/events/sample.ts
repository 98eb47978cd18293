export type Json = string | number | boolean | null | Json[] | JsonObject
export interface JsonObject {
  [name: string]: Json
}

/** One kind of event. */
export interface Sample {
  /** `aws:sqs` */
  readonly source: string
  readonly description: string
  /** A fresh event of that moment. */
  make(now: Date): JsonObject
  /** Corrects what follows from other values, after they were replaced. */
  settle?(event: JsonObject): void
  /** Places that people change, by a short name. */
  readonly short?: Readonly<Record<string, { readonly path: string; encode?(value: string): string }>>
}

export const REGION = 'us-east-1'
export const ACCOUNT = '123456789012'

/** Replaces a value in place; a text keeps being one, anything else is read as JSON when it is some. False when there is no such place. */
export function setPath(target: JsonObject, path: string, value: string): boolean {
  const names = path.split('.')
  const last = names.pop() ?? ''
  const parent = names.length === 0 ? target : getPath(target, names.join('.'))
  return (
    typeof parent === 'object' &&
    parent !== null &&
    setChild(parent, { last, value, grows: names.length > 0 })
  )
}

function setChild(
  parent: Json[] | JsonObject,
  { last, value, grows }: { last: string; value: string; grows: boolean },
): boolean {
  const before = child(parent, last)
  const replacement = typeof before === 'string' || before === undefined ? value : asJson(value)
  if (Array.isArray(parent)) {
    if (before !== undefined) parent[Number(last)] = replacement
    return before !== undefined
  }
  // Only maps of free names (headers, attributes) may grow.
  const fits = before !== undefined || grows
  if (fits) parent[last] = replacement
  return fits
}

/** The text that is there, or none. */
export function textAt(target: JsonObject, path: string): string {
  const found = getPath(target, path)
  return typeof found === 'string' ? found : ''
}

/** A value that follows from another one, unless it was replaced itself. */
export function follow(
  event: JsonObject,
  path: string,
  { sampled, value }: { readonly sampled: string; readonly value: Json | undefined },
): void {
  if (typeof value === 'string' && getPath(event, path) === sampled) setPath(event, path, value)
}

export function getPath(target: JsonObject, path: string): Json | undefined {
  return path.split('.').reduce<Json | undefined>((found, name) => child(found, name), target)
}

function child(value: Json | undefined, name: string): Json | undefined {
  if (Array.isArray(value)) return /^\d+$/.test(name) ? value[Number(name)] : undefined
  if (typeof value !== 'object' || value === null) return undefined
  return Object.hasOwn(value, name) ? value[name] : undefined
}

function asJson(value: string): Json {
  try {
    return JSON.parse(value) as Json
  } catch {
    return value
  }
}
