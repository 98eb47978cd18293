import { errorMessage } from '../../../../core/errors.ts'
import { parsePattern, type Matches } from '../../patterns/pattern.ts'
import { invalidPattern } from './events-errors.ts'
import type { Transform } from './transform.ts'

export interface Target {
  readonly id: string
  /** A function may go by its name. */
  readonly arn: string
  /** As it was put, for who asks. */
  readonly written: Readonly<Record<string, unknown>>
  readonly transform: Transform
  /** ARN of the queue for what cannot be handed over. */
  readonly deadLetter?: string | undefined
  /** Of a FIFO queue. */
  readonly groupId?: string | undefined
}

export interface RuleOptions {
  readonly name: string
  readonly bus: string
  readonly arn: string
  readonly pattern: string | undefined
  readonly schedule: string | undefined
  readonly enabled: boolean
  readonly description: string | undefined
}

/** Which events of a bus go where. */
export class Rule {
  readonly name: string
  readonly bus: string
  readonly arn: string
  readonly pattern: string | undefined
  readonly schedule: string | undefined
  readonly description: string | undefined
  readonly targets = new Map<string, Target>()
  enabled: boolean
  readonly #matches: Matches

  /** @throws BrokerError InvalidEventPatternException. */
  constructor({ name, bus, arn, pattern, schedule, enabled, description }: RuleOptions) {
    this.name = name
    this.bus = bus
    this.arn = arn
    this.pattern = pattern
    this.schedule = schedule
    this.enabled = enabled
    this.description = description
    this.#matches = pattern === undefined ? () => false : compiled(pattern)
  }

  matches(event: unknown): boolean {
    return this.enabled && this.#matches(event)
  }
}

/** @throws BrokerError InvalidEventPatternException. */
export function compiled(pattern: string): Matches {
  try {
    return parsePattern(pattern)
  } catch (error) {
    throw invalidPattern(errorMessage(error))
  }
}
