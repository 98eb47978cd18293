import { errorMessage } from '../../../../core/errors.ts'
import type { Logger } from '../../../../core/log.ts'
import type { RuleResource } from '../../service/resource.ts'
import type { Listener } from '../../service/service.ts'
import { functionArn } from '../../definition.ts'
import { nameOf } from '../sqs/queues.ts'
import { objects } from '../json-input.ts'
import { busName, ruleArn } from './bus-name.ts'
import { optional } from './events-input.ts'
import { Rule } from './rule.ts'
import { scheduleOf, type RuleTimers } from './rule-timers.ts'
import { putTargets } from './targets.ts'

export type RuleDeclaration = Omit<RuleResource, 'kind'>

export interface DeclaredRulesOptions {
  readonly log: Logger
  readonly region: string
  readonly timers: RuleTimers
}

/** The rule that a function's source is. */
export function ruleOfListener(
  { function: reference, source }: Listener<'events'>,
  index: number,
  region: string,
): RuleDeclaration {
  const { name, bus, pattern, enabled, input, inputPath, deadLetter } = source
  const arn = reference.startsWith('arn:') ? reference : functionArn(reference, region)
  const target: Record<string, unknown> = { Id: nameOf(arn), Arn: arn }
  if (input !== undefined) target['Input'] = JSON.stringify(input)
  if (inputPath !== undefined) target['InputPath'] = inputPath
  if (deadLetter !== undefined) target['DeadLetterConfig'] = { Arn: deadLetter }
  return { name: name ?? `${nameOf(reference)}-${index}`, bus, pattern, enabled, targets: [target] }
}

/** Rules of files and functions, by bus. One that is declared again unchanged goes on, its schedule too. */
export class DeclaredRules {
  readonly #options: DeclaredRulesOptions
  #rules = new Map<string, Rule>()

  constructor(options: DeclaredRulesOptions) {
    this.#options = options
  }

  of(bus: string): readonly Rule[] {
    return [...this.#rules.values()].filter((rule) => rule.bus === bus)
  }

  declare(declarations: readonly RuleDeclaration[]): void {
    const before = this.#rules
    this.#rules = new Map()
    for (const declaration of declarations) {
      const key = JSON.stringify(declaration)
      const rule = before.get(key) ?? this.#made(declaration)
      if (rule !== undefined) this.#rules.set(key, rule)
    }
    for (const [key, rule] of before) if (!this.#rules.has(key)) this.#options.timers.stop(rule)
  }

  #made(declaration: RuleDeclaration): Rule | undefined {
    const { name, pattern, schedule, enabled = true, targets } = declaration
    const bus = busName(declaration.bus ?? 'default')
    try {
      if (schedule !== undefined) scheduleOf(schedule)
      const arn = ruleArn(this.#options.region, bus, name)
      const text = pattern === undefined ? undefined : JSON.stringify(pattern)
      const rule = new Rule({ name, bus, arn, pattern: text, schedule, enabled, description: undefined })
      const refused = objects(putTargets(rule, { Targets: targets }), 'FailedEntries')
      for (const one of refused) this.#warn(bus, `rule ${name}: ${optional(one, 'ErrorMessage') ?? ''}`)
      this.#options.timers.start(rule)
      return rule
    } catch (error) {
      this.#warn(bus, `rule ${name} cannot be: ${errorMessage(error)}`)
      return undefined
    }
  }

  #warn(bus: string, message: string): void {
    this.#options.log.warn('bus.declare', { bus, message })
  }
}
