/** What is wrong with a value that a person wrote, and what to write instead. */
export interface Problem {
  readonly message: string
  readonly hint: string
  /** What it is about: `sources[0].queue`. */
  readonly option: string
}

/** Undefined when the value will do, otherwise the hint: what to write. */
export type Check = (value: unknown) => string | undefined

/** The values an object may have, by name. */
export type Shape = Readonly<Record<string, Check>>

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** @param meaning in the plural, for the hint: `seconds that an event may wait`. */
export function wholeNumber(
  { min, max = Infinity }: { readonly min: number; readonly max?: number },
  meaning: string,
): Check {
  const bounds = max === Infinity ? `${min} or more` : `${min} to ${max.toLocaleString('en')}`
  return (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? undefined
      : `Write a whole number of ${meaning}, ${bounds}.`
}

/** @param example what such a text looks like. */
export function text(example: string, pattern = /\S/): Check {
  return (value) =>
    typeof value === 'string' && pattern.test(value) ? undefined : `Write a text, such as "${example}".`
}

export const boolean: Check = (value) =>
  typeof value === 'boolean' ? undefined : 'Write true or false, without quotes.'

export function oneOf(...words: readonly string[]): Check {
  return (value) =>
    words.some((word) => word === value)
      ? undefined
      : `Write ${words.map((word) => `"${word}"`).join(' or ')}.`
}

/** An ARN of one of these services. */
export function arn(...services: readonly string[]): Check {
  const example = `arn:aws:${services[0]}:us-east-1:123456789012:NAME`
  return (value) => {
    const service = typeof value === 'string' ? /^arn:[\w-]+:([\w-]+):.*:./.exec(value)?.[1] : undefined
    return service !== undefined && services.includes(service)
      ? undefined
      : `Write an ARN of ${services.join(', ')}, such as "${example}".`
  }
}

export function listOf(check: Check, max: number, meaning: string): Check {
  return (value) => {
    if (!Array.isArray(value)) return `Write a list of ${meaning}.`
    if (value.length > max) return `Write ${max} ${meaning} at most.`
    return value.map((one: unknown) => check(one)).find((hint) => hint !== undefined)
  }
}

export const anything: Check = () => undefined

/**
 * Everything that is wrong with an object: values that cannot be, names it has not, and what is missing.
 * @param path how the object is called, with its dot: `sources[0].`
 */
export function problemsOf(
  value: Readonly<Record<string, unknown>>,
  { shape, required = [], path = '' }: { shape: Shape; required?: readonly string[]; path?: string },
): Problem[] {
  const missing = required.filter((name) => value[name] === undefined)
  return [
    ...missing.map((name) => ({
      option: `${path}${name}`,
      message: `"${path}${name}" is missing`,
      hint: shape[name]?.(undefined) ?? 'Add it.',
    })),
    ...Object.entries(value).flatMap(([name, one]) =>
      problemOf(`${path}${name}`, one, Object.hasOwn(shape, name) ? (shape[name] ?? shape) : shape),
    ),
  ]
}

function problemOf(name: string, value: unknown, check: Check | Shape): Problem[] {
  if (value === undefined) return []
  if (typeof check !== 'function')
    return [
      { option: name, message: `there is no "${name}"`, hint: `It has: ${Object.keys(check).join(', ')}.` },
    ]
  const hint = check(value)
  return hint === undefined ? [] : [{ option: name, message: `"${name}" cannot be ${shown(value)}`, hint }]
}

function shown(value: unknown): string {
  const json = JSON.stringify(value)
  return json.length > 60 ? `${json.slice(0, 57)}…` : json
}
