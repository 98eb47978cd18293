import { validation } from './events-errors.ts'

export type Input = Readonly<Record<string, unknown>>

export function isInput(value: unknown): value is Input {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** @throws BrokerError ValidationException. */
export function required(input: Input, name: string): string {
  const value = optional(input, name)
  if (value !== undefined && value !== '') return value
  const at = `${name.slice(0, 1).toLowerCase()}${name.slice(1)}`
  const constraint = 'Member must not be null'
  throw validation(
    `1 validation error detected: Value null at '${at}' failed to satisfy constraint: ${constraint}`,
  )
}

/** @throws BrokerError ValidationException for anything but text. */
export function optional(input: Input, name: string): string | undefined {
  const value = input[name] ?? undefined
  if (value === undefined || typeof value === 'string') return value
  throw validation(`${name} must be a string`)
}

export function texts(input: Input, name: string): readonly string[] {
  const value = input[name]
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}

export function objects(input: Input, name: string): readonly Input[] {
  const value = input[name]
  return Array.isArray(value) ? value.filter(isInput) : []
}

export function object(input: Input, name: string): Input | undefined {
  const value = input[name]
  return isInput(value) ? value : undefined
}
