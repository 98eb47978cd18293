/** A value of a configuration, once everything in it that refers to something else is worked out. */
export type Value = string | number | boolean | null | readonly Value[] | { readonly [name: string]: Value }

/** How a value stands in a text; lists and maps as JSON. */
export function asText(value: Value | undefined): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
