/** A value of a configuration, once everything in it that refers to something else is worked out. */
export type Value = string | number | boolean | null | readonly Value[] | ValueMap

export interface ValueMap {
  readonly [name: string]: Value
}

/** How a value stands in a text; lists and maps as JSON, nothing as nothing. */
export function asText(value: Value | undefined): string {
  return value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)
}
