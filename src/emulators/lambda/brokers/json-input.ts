import { BrokerError } from './broker-error.ts'

/** What a request carries, as the JSON protocols have it. */
export type Input = Readonly<Record<string, unknown>>

/** @throws BrokerError SerializationException. */
export function parsedInput(body: Buffer | undefined): Input {
  try {
    const input: unknown = JSON.parse(body?.toString() ?? '{}')
    if (isInput(input)) return input
  } catch {
    // Told below, as any other JSON that is no object.
  }
  throw new BrokerError('SerializationException', 'The content is no JSON object.')
}

export function isInput(value: unknown): value is Input {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function texts(input: Input, name: string): readonly string[] {
  const value = input[name]
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}

export function objects(input: Input, name: string): readonly Input[] {
  const value = input[name]
  return Array.isArray(value) ? value.filter(isInput) : []
}
