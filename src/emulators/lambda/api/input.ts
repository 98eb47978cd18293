import { FlexiError } from '../../../core/errors.ts'
import { readBody } from '../request-body.ts'
import type { ApiCall } from './api-call.ts'
import { ApiError, invalidContent, invalidValue, requestTooLarge } from './api-error.ts'

/** Bounds of a number, both included. */
export interface Bounds {
  readonly min: number
  readonly max: number
}

/** The members of a request's JSON. Whatever is read of it has the type that the API says, or the request is refused in its words. */
export class Input {
  readonly #members: Readonly<Record<string, unknown>>
  /** `code.` for a member of a member. */
  readonly #prefix: string

  constructor(members: Readonly<Record<string, unknown>>, prefix = '') {
    this.#members = members
    this.#prefix = prefix
  }

  has(name: string): boolean {
    return (this.#members[name] ?? undefined) !== undefined
  }

  /** `pattern` must match as a whole. */
  text(name: string, pattern?: RegExp): string | undefined {
    const value = this.#value(name)
    if (value === undefined) return undefined
    if (typeof value !== 'string') throw wrongType(value, 'a String')
    if (pattern !== undefined && !pattern.test(value))
      throw this.#invalid(name, value, `Member must satisfy regular expression pattern: ${shown(pattern)}`)
    return value
  }

  needed(name: string, pattern?: RegExp): string {
    const value = this.text(name, pattern)
    if (value === undefined) throw this.missing(name)
    return value
  }

  integer(name: string, { min, max }: Bounds): number | undefined {
    const value = this.#value(name)
    if (value === undefined) return undefined
    if (typeof value !== 'number' || !Number.isInteger(value)) throw wrongType(value, 'an Integer')
    if (value < min)
      throw this.#invalid(name, String(value), `Member must have value greater than or equal to ${min}`)
    if (value > max)
      throw this.#invalid(name, String(value), `Member must have value less than or equal to ${max}`)
    return value
  }

  flag(name: string): boolean | undefined {
    const value = this.#value(name)
    if (value === undefined || typeof value === 'boolean') return value
    throw wrongType(value, 'a Boolean')
  }

  choice<T extends string>(name: string, values: readonly T[]): T | undefined {
    const text = this.text(name)
    const value = values.find((one) => one === text)
    if (text === undefined || value !== undefined) return value
    throw this.#invalid(name, text, `Member must satisfy enum value set: [${values.join(', ')}]`)
  }

  texts(name: string): readonly string[] | undefined {
    const value = this.#value(name)
    if (value === undefined) return undefined
    if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value as string[]
    throw wrongType(value, 'a List of String')
  }

  map(name: string): Readonly<Record<string, string>> | undefined {
    const value = this.#value(name)
    if (value === undefined) return undefined
    if (isRecord(value) && Object.values(value).every((one) => typeof one === 'string'))
      return value as Record<string, string>
    throw wrongType(value, 'a Map of String')
  }

  /** Numbers by name. */
  weights(name: string): Readonly<Record<string, number>> | undefined {
    const value = this.#value(name)
    if (value === undefined) return undefined
    if (isRecord(value) && Object.values(value).every((one) => typeof one === 'number'))
      return value as Record<string, number>
    throw wrongType(value, 'a Map of Double')
  }

  child(name: string): Input | undefined {
    const value = this.#value(name)
    if (value === undefined) return undefined
    if (isRecord(value)) return new Input(value, `${this.#prefix}${camel(name)}.`)
    throw wrongType(value, 'a Structure')
  }

  /** As it came: for what is only kept. */
  raw(name: string): unknown {
    return this.#value(name)
  }

  missing(name: string): ApiError {
    const message = `1 validation error detected: Value null at '${this.#prefix}${camel(name)}' failed to satisfy constraint: Member must not be null`
    return new ApiError(400, 'ValidationException', { message })
  }

  /** @param constraint `Member must have length less than or equal to 64`. */
  invalidText(name: string, constraint: string): ApiError {
    return this.#invalid(name, String(this.#value(name)), constraint)
  }

  #invalid(name: string, value: string, constraint: string): ApiError {
    return invalidValue(value, this.#prefix + camel(name), constraint)
  }

  #value(name: string): unknown {
    return this.#members[name] ?? undefined
  }
}

/** @throws ApiError RequestTooLargeException, InvalidRequestContentException when it is no JSON object. */
export async function readInput(
  call: ApiCall,
  limit: { readonly bytesMax: number; readonly operation: string },
): Promise<Input> {
  let text: string
  try {
    text = ((await readBody(call.incoming, limit.bytesMax)) ?? '').toString()
  } catch (error) {
    if (error instanceof FlexiError && error.code === 'FLEXI_BODY_TOO_LARGE')
      throw requestTooLarge(limit.bytesMax, limit.operation)
    throw error
  }
  const value = text === '' ? {} : parsed(text)
  if (isRecord(value)) return new Input(value)
  throw invalidContent('Could not parse request body into json: it is no object')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw invalidContent(`Could not parse request body into json: ${reason}`)
  }
}

function wrongType(value: unknown, type: string): ApiError {
  const message = `${JSON.stringify(value).slice(0, 100)} can not be converted to ${type}`
  return new ApiError(400, 'SerializationException', { Type: 'User', message })
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `FunctionName` is `functionName` in messages, `KMSKeyArn` `kMSKeyArn`. */
function camel(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1)
}

function shown(pattern: RegExp): string {
  return pattern.source.replace(/^\^|\$$/g, '')
}
