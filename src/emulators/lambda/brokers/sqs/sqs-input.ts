import type { MessageAttribute } from '../../service/queue.ts'
import { isInput, type Input } from '../json-input.ts'
import { invalidParameter, invalidValue, missingParameter } from './sqs-errors.ts'

/** @throws BrokerError MissingParameter. */
export function required(input: Input, name: string): string {
  const value = optional(input, name)
  if (value === undefined || value === '') throw missingParameter(name)
  return value
}

/** @throws BrokerError InvalidParameterValue for anything but text. */
export function optional(input: Input, name: string): string | undefined {
  const value = input[name] ?? undefined
  if (value === undefined || typeof value === 'string') return value
  throw invalidParameter(`Value for parameter ${name} is invalid. Reason: Must be a string.`)
}

/** The query protocol sends numbers as text. @throws BrokerError InvalidParameterValue. */
export function integer(
  input: Input,
  name: string,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  const value = input[name] ?? undefined
  if (value === undefined) return undefined
  const number = typeof value === 'string' && value !== '' ? Number(value) : value
  if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max) return number
  throw invalidValue(value, name, `Must be between ${min} and ${max}, if provided.`)
}

/** `{ VisibilityTimeout: "30" }` */
export function textMap(input: Input, name: string): Record<string, string> {
  const value = input[name]
  if (!isInput(value)) return {}
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, String(one)]))
}

/** `{ kind: { DataType: "String", StringValue: "order" } }` */
export function messageAttributes(input: Input, name: string): Record<string, MessageAttribute> {
  const value = input[name]
  if (!isInput(value)) return {}
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, messageAttribute(isInput(one) ? one : {})]),
  )
}

function messageAttribute(input: Input): MessageAttribute {
  const type = optional(input, 'DataType') ?? ''
  const binary = optional(input, 'BinaryValue')
  return binary === undefined ? { type, text: optional(input, 'StringValue') } : { type, binary }
}

export function writtenAttributes(attributes: Readonly<Record<string, MessageAttribute>>): Input {
  const written = Object.entries(attributes).map(([name, { type, text, binary }]) => {
    const value = binary === undefined ? { StringValue: text } : { BinaryValue: binary }
    return [name, { ...value, DataType: type }]
  })
  return Object.fromEntries(written) as Input
}
