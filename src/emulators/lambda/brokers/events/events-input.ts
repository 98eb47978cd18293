import { isInput, type Input } from '../json-input.ts'
import { validation } from './events-errors.ts'

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

export function object(input: Input, name: string): Input | undefined {
  const value = input[name]
  return isInput(value) ? value : undefined
}
