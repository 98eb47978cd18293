import type { Value } from './value.ts'

export function isTrue(value: Value | undefined): boolean {
  return value === true || value === 'true' || value === 'ENABLED'
}

/** JSON text as what it says; any other value, and text that is no JSON, as it is. */
export function jsonOf(value: Value | undefined): unknown {
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value) as unknown
  } catch {
    return value
  }
}

/** Less what is undefined: options are compared and shown. */
export function withoutNone<Type extends object>(value: Type): Type {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as Type
}
