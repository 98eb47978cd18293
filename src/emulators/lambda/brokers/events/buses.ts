import { errorMessage } from '../../../../core/errors.ts'
import type { Logger } from '../../../../core/log.ts'
import type { SendMessage } from '../../service/queue.ts'
import type { Clock } from '../../sources/clock.ts'
import { arnOf, parseArn } from '../arn.ts'
import { BrokerError } from '../broker-error.ts'
import type { Deliver } from '../deliver.ts'
import { busEvent, type BusEvent } from './bus-event.ts'
import { busName } from './bus-name.ts'
import { DeclaredRules, type RuleDeclaration } from './declared-rules.ts'
import { busNotFound, validation } from './events-errors.ts'
import type { Rule, Target } from './rule.ts'
import { RuleTimers } from './rule-timers.ts'

export interface BusesOptions {
  readonly log: Logger
  readonly region: string
  readonly deliver: Deliver
  readonly clock: Clock
}

/** One bus with its rules by name. */
export interface Bus {
  readonly name: string
  readonly arn: string
  readonly createdAt: number
  readonly rules: Map<string, Rule>
}

/** An event that goes from bus to bus this often goes in a circle. */
const HOPS_MAX = 10

/** All buses. `default` is always there. */
export class Buses {
  readonly region: string
  readonly #options: BusesOptions
  readonly #buses = new Map<string, Bus>()
  readonly #timers: RuleTimers
  readonly #declared: DeclaredRules

  constructor(options: BusesOptions) {
    this.#options = options
    this.#timers = new RuleTimers(options.clock, (rule, due) => this.#due(rule, due))
    this.region = options.region
    this.#declared = new DeclaredRules({ log: options.log, region: options.region, timers: this.#timers })
    this.create('default')
  }

  all(): readonly Bus[] {
    return [...this.#buses.values()]
  }

  /** @throws BrokerError ValidationException, ResourceAlreadyExistsException. */
  create(name: string): Bus {
    if (!/^[/.\w-]{1,256}$/.test(name)) throw validation(`Event bus name ${name} is not valid.`)
    if (this.#buses.has(name)) {
      throw new BrokerError('ResourceAlreadyExistsException', `Event bus ${name} already exists.`)
    }
    const arn = arnOf('events', this.region, `event-bus/${name}`)
    const bus: Bus = { name, arn, createdAt: this.#options.clock.now(), rules: new Map() }
    this.#buses.set(name, bus)
    return bus
  }

  delete(name: string): void {
    if (name === 'default') throw validation('Cannot delete event bus default.')
    for (const rule of this.#buses.get(name)?.rules.values() ?? []) this.#timers.stop(rule)
    this.#buses.delete(name)
  }

  /** By name or ARN. */
  find(reference: string): Bus | undefined {
    return this.#buses.get(busName(reference))
  }

  /** @throws BrokerError ResourceNotFoundException. */
  get(reference: string): Bus {
    const bus = this.find(reference)
    if (bus === undefined) throw busNotFound(busName(reference))
    return bus
  }

  /** Those of files and functions first. */
  rules({ name, rules }: Bus): readonly Rule[] {
    return [...this.#declared.of(name), ...rules.values()]
  }

  /** In place of another one of that name. */
  setRule(bus: Bus, rule: Rule): void {
    const before = bus.rules.get(rule.name)
    if (before !== undefined) this.#timers.stop(before)
    bus.rules.set(rule.name, rule)
    this.#timers.start(rule)
  }

  deleteRule(bus: Bus, rule: Rule): void {
    bus.rules.delete(rule.name)
    this.#timers.stop(rule)
  }

  close(): void {
    this.#timers.close()
  }

  /** Takes the event; it is handed over in the background. An event for a bus that is not there is nobody's. */
  put(reference: string, event: BusEvent, hops = 0): void {
    const bus = this.find(reference)
    if (bus === undefined) {
      const message = `event bus ${busName(reference)} does not exist: its event ${event.id} goes nowhere`
      this.#options.log.warn('bus.deliver', { bus: busName(reference), message })
      return
    }
    for (const rule of this.rules(bus)) {
      if (!rule.matches(event)) continue
      for (const target of rule.targets.values()) void this.#send(event, { rule, target, hops })
    }
  }

  /** What files and functions say now, in place of what they said before. */
  declare(buses: readonly string[], rules: readonly RuleDeclaration[]): void {
    const named = rules.map(({ bus = 'default' }) => busName(bus))
    for (const name of new Set([...buses, ...named])) this.#declareBus(name)
    this.#declared.declare(rules)
  }

  /** A rule with a schedule: its targets get an event that says so. */
  #due(rule: Rule, due: number): void {
    const made = { source: 'aws.events', detailType: 'Scheduled Event', detail: {}, resources: [rule.arn] }
    const event = busEvent({ ...made, at: due }, this.region)
    for (const target of rule.targets.values()) void this.#send(event, { rule, target, hops: 0 })
  }

  #declareBus(name: string): void {
    try {
      if (!this.#buses.has(name)) this.create(name)
    } catch (error) {
      this.#options.log.warn('bus.declare', { bus: name, message: errorMessage(error) })
    }
  }

  async #send(
    event: BusEvent,
    { rule, target, hops }: { readonly rule: Rule; readonly target: Target; readonly hops: number },
  ): Promise<void> {
    const { arn, groupId, deadLetter } = target
    try {
      const service = parseArn(arn)?.service
      if (service === 'events') {
        if (hops >= HOPS_MAX) throw new Error('the event goes in a circle')
        this.put(arn, event, hops + 1)
        return
      }
      const message = this.#message(event, target)
      if (service === 'lambda') checkJson(message.body)
      await this.#options.deliver(arn, message)
    } catch (error) {
      this.#warn(rule, arn, `did not get event ${event.id}: ${errorMessage(error)}`)
      if (deadLetter !== undefined) await this.#giveUp(event, { rule, deadLetter, groupId })
    }
  }

  #message(event: BusEvent, { transform, groupId }: Target): SendMessage {
    return { body: transform({ ...event }), groupId, deduplicationId: groupId && event.id }
  }

  async #giveUp(
    event: BusEvent,
    {
      rule,
      deadLetter,
      groupId,
    }: {
      readonly rule: Rule
      readonly deadLetter: string
      readonly groupId: string | undefined
    },
  ): Promise<void> {
    const attributes = {
      RULE_ARN: { type: 'String', text: rule.arn },
      ERROR_CODE: { type: 'String', text: 'SDK_CLIENT_ERROR' },
    }
    try {
      await this.#options.deliver(deadLetter, { body: JSON.stringify(event), groupId, attributes })
    } catch (error) {
      this.#warn(rule, deadLetter, `cannot be used as dead letter queue: ${errorMessage(error)}`)
    }
  }

  #warn({ name, bus }: Rule, target: string, what: string): void {
    this.#options.log.warn('bus.deliver', { bus, rule: name, message: `rule ${name}: ${target} ${what}` })
  }
}

/** What a template makes is whatever its author wrote; functions take nothing but JSON. */
function checkJson(body: string): void {
  try {
    JSON.parse(body)
  } catch {
    throw new Error(`its input template makes no JSON of it: ${body.slice(0, 100)}`)
  }
}
