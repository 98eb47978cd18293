import { setTimeout as pause } from 'node:timers/promises'

import { systemClock, type Clock } from '../../../core/clock.ts'
import { errorMessage } from '../../../core/errors.ts'
import type { FunctionConfig, OutputLine } from '../../../core/function.ts'
import type { WallClock } from '../../../core/wall-clock.ts'
import { isDue, UTC, zoneOf } from '../events/cron-clock.ts'
import { parseCron, type Cron } from '../events/cron.ts'
import { trigger } from '../events/trigger.ts'
import type { Groups, Member } from '../groups/groups.ts'
import { cronsOf, runtimeName } from './members.ts'

const MINUTE_MS = 60_000
/** A minute that begins while the machine sleeps is over when it wakes up: nothing is made up for. */
const LATE_MS_MAX = 30_000
const DRAIN_MS = 10_000
const SET_RIGHT_MS_MAX = 15 * MINUTE_MS

export interface CronsOptions {
  /** Whether the function of this name has been built: there is nothing that could run before. */
  readonly isBuilt: (name: string) => boolean
  readonly groups: Pick<Groups, 'members' | 'control'>
  readonly clock?: Clock | undefined
}

/**
 * Fires the crons of all workers of the application, each at the start of its minute, until it is disposed. What the wrangler files say
 * is looked at every minute, so that a reload neither loses a firing nor repeats one.
 */
export class Crons implements AsyncDisposable {
  readonly #isBuilt: CronsOptions['isBuilt']
  readonly #groups: CronsOptions['groups']
  readonly #clock: Clock
  readonly #parsed = new Map<string, Cron>()
  readonly #zones = new Map<string, WallClock>()
  readonly #running = new Set<Promise<void>>()
  /** By function: what was said of its crons. */
  readonly #announced = new Map<string, string>()
  /** The minute that was looked at last. */
  #minute: number
  #cancel: () => void = () => undefined
  /** The application has ended under what still runs. */
  #silent = false

  constructor({ isBuilt, groups, clock = systemClock }: CronsOptions) {
    this.#isBuilt = isBuilt
    this.#groups = groups
    this.#clock = clock
    this.#minute = minuteOf(clock.now())
    this.announce()
    this.#arm()
  }

  /** Says of each worker which crons fire, when that is news. */
  announce(): void {
    for (const member of this.#groups.members()) {
      const { name } = member.config
      const crons = cronsOf(member)
      const text =
        crons.length === 0
          ? ''
          : `crons fire by the clocks of ${this.#zone(member.config).name}: ${crons.join(', ')}`
      if (text !== '' && text !== this.#announced.get(name))
        member.scope.output({ stream: 'platform', level: 'info', text })
      this.#announced.set(name, text)
    }
  }

  /** Fires nothing any more. */
  stop(): void {
    this.#cancel()
  }

  /** What runs may end, for as long as people wait for a server to stop. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop()
    const late = new AbortController()
    const limit = pause(DRAIN_MS, undefined, { signal: late.signal }).catch(() => undefined)
    await Promise.race([this.settled(), limit])
    late.abort()
    this.#silent = true
  }

  /** Resolves when nothing runs that was fired. */
  async settled(): Promise<void> {
    await Promise.all(this.#running)
  }

  #arm(): void {
    const now = this.#clock.now()
    this.#cancel = this.#clock.after(minuteOf(now) + MINUTE_MS - now, () => this.#look())
  }

  #look(): void {
    const now = this.#clock.now()
    const minute = minuteOf(now)
    // A timer may come a moment early, and a clock may be set right: what was fired is not fired again. One set back by much is another time.
    const isNew = minute > this.#minute || this.#minute - minute > SET_RIGHT_MS_MAX
    if (isNew) this.#minute = minute
    this.#arm()
    if (!isNew || now - minute > LATE_MS_MAX) return
    for (const member of this.#groups.members()) this.#fireDue(member, minute)
  }

  #fireDue(member: Member, minute: number): void {
    if (!this.#isBuilt(member.config.name)) return
    const zone = this.#zone(member.config)
    for (const cron of cronsOf(member)) {
      if (isDue(this.#cron(cron), zone, minute)) this.#start(member, { cron, minute })
    }
  }

  #start(member: Member, firing: Firing): void {
    const running = this.#fire(member, firing).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async #fire(member: Member, { cron, minute }: Firing): Promise<void> {
    const say = (level: OutputLine['level'], text: string): void => {
      if (!this.#silent) member.scope.output({ stream: 'platform', level, text: `cron ${cron}: ${text}` })
    }
    const from = performance.now()
    try {
      const control = await this.#groups.control(member.config.name)
      const event = { kind: 'scheduled', cron, scheduledTime: minute } as const
      const { outcome } = await trigger(control, runtimeName(member), event)
      const took = `${Math.round(performance.now() - from)} ms`
      say(
        outcome === 'ok' ? 'info' : 'error',
        outcome === 'ok' ? `ok in ${took}` : `${outcome} after ${took}`,
      )
    } catch (error) {
      say('error', `failed: ${errorMessage(error)}`)
    }
  }

  #zone({ options }: FunctionConfig): WallClock {
    const name = options['time_zone']
    return typeof name === 'string' ? known(this.#zones, name, zoneOf) : UTC
  }

  /** They were checked when the wrangler file was read. */
  #cron(text: string): Cron {
    return known(this.#parsed, text, parseCron)
  }
}

interface Firing {
  readonly cron: string
  readonly minute: number
}

function known<Value>(found: Map<string, Value>, key: string, make: (key: string) => Value): Value {
  const value = found.get(key) ?? make(key)
  found.set(key, value)
  return value
}

function minuteOf(time: number): number {
  return time - (time % MINUTE_MS)
}
