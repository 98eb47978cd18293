import { errorMessage } from '../../../../core/errors.ts'
import type { Clock } from '../../sources/clock.ts'
import { parseSchedule, type Schedule } from '../../sources/schedules/schedule.ts'
import { ScheduleTimer } from '../../sources/schedules/schedule-timer.ts'
import { validation } from './events-errors.ts'
import type { Rule } from './rule.ts'

/** Rules with a schedule, which are due by themselves. */
export class RuleTimers {
  readonly #clock: Clock
  readonly #fire: (rule: Rule, due: number) => void
  readonly #stops = new Map<Rule, () => void>()
  #timer: ScheduleTimer | undefined

  constructor(clock: Clock, fire: (rule: Rule, due: number) => void) {
    this.#clock = clock
    this.#fire = fire
  }

  /** Begins to count now. */
  start(rule: Rule): void {
    if (rule.schedule === undefined) return
    this.#timer ??= new ScheduleTimer(this.#clock)
    const schedule = scheduleOf(rule.schedule)
    const fire = (due: number): void => {
      if (rule.enabled) this.#fire(rule, due)
    }
    const added = this.#timer.add({ schedule, fire })
    this.#stops.set(rule, () => added.stop())
  }

  stop(rule: Rule): void {
    this.#stops.get(rule)?.()
    this.#stops.delete(rule)
  }

  close(): void {
    this.#timer?.[Symbol.dispose]()
  }
}

/** `rate(…)` or `cron(…)`: single times are EventBridge Scheduler's. @throws BrokerError ValidationException. */
export function scheduleOf(expression: string): Schedule {
  try {
    if (expression.startsWith('at(')) throw new Error('rules take rate(…) and cron(…)')
    return parseSchedule(expression)
  } catch (error) {
    throw validation(`Parameter ScheduleExpression is not valid. Reason: ${errorMessage(error)}`)
  }
}
