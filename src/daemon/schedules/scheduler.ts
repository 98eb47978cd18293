import type { Clock } from '../../core/clock.ts'
import { errorMessage, FlexiError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { FunctionSchedule, ProviderSchedules } from '../../core/schedule.ts'
import { emulatorOf } from '../../emulators/registry.ts'
import type { ScheduleTime } from '../control-plane.ts'
import type { FunctionKey, VersionRecord } from '../model.ts'
import type { Runtime } from '../runtime.ts'
import type { Store } from '../store.ts'
import { dueBy, idOf, LATE_MS_MAX, type DueTime } from './due-time.ts'
import { FiredTimes, SET_RIGHT_MS_MAX } from './fired-times.ts'
import { KnownSchedules } from './known-schedules.ts'
import { runScheduled } from './scheduled-run.ts'

/** Timers stand still while a machine sleeps, and clocks are set: the time is looked at this often. */
const LOOK_MS = 30_000
/** The store could not be written: what is due is tried again. */
const AGAIN_MS = 1_000

export interface SchedulerOptions {
  readonly store: Pick<Store, 'settings' | 'functions' | 'aliases' | 'transaction'>
  readonly runtime: Pick<Runtime, 'run' | 'logs' | 'configOf'>
  /** A version that can be asked, as it is. */
  readonly admitted: (key: FunctionKey) => VersionRecord | undefined
  /** Whose versions are run. */
  readonly alias: string
  readonly log: Logger
  readonly clock: Clock
}

/** What is to be fired of one function. */
interface Entry {
  /** Its schedules are being read: what is due meanwhile waits. */
  readonly isHeld: boolean
  /** What is due after that is fired, of schedules that were not known before. */
  readonly from: number
  readonly dues: readonly DueTime[]
}

interface Firing {
  readonly name: string
  readonly one: DueTime
  readonly due: number
}

/**
 * Runs deployed functions by the clock: of each the version that an alias leads to, the first one of a canary. A time is fired once, also
 * by two processes on one store, and not at all when nobody was there to see it. Functions without schedules are not in its memory.
 */
export class Scheduler {
  readonly known: KnownSchedules
  readonly #options: SchedulerOptions
  readonly #fired: FiredTimes
  /** By the provider's name. */
  readonly #providers = new Map<string, ProviderSchedules>()
  readonly #entries = new Map<string, Entry>()
  readonly #running = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  readonly #ending = new AbortController()
  #isStarted = false
  /** The time when it was looked at last. */
  #seen = 0
  #cancel: () => void = () => undefined

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#fired = new FiredTimes(options.store)
    this.known = new KnownSchedules(options)
  }

  /** From now on. What was due within the last seconds, while nobody served, is fired too. */
  start(): void {
    this.#isStarted = true
    const { store, alias, clock, admitted } = this.#options
    const now = clock.now()
    for (const { function: name, alias: own, version, movedAt } of store.aliases.all()) {
      const record = own === alias ? admitted({ name, version }) : undefined
      if (record === undefined || this.known.of(record)?.length === 0) continue
      const from = Math.max(now - LATE_MS_MAX, movedAt, this.#fired.of(name, now))
      this.#entries.set(name, { isHeld: true, from, dues: [] })
      this.changed(name)
    }
  }

  /** The alias leads elsewhere, or what it leads to is another, was started or stopped. */
  changed(name: string): void {
    if (!this.#isStarted || this.#stopping.signal.aborted) return
    const record = this.#live(name)
    const schedules = record === undefined ? [] : this.known.of(record)
    if (record === undefined || schedules?.length === 0) this.#entries.delete(name)
    else this.#put(record, schedules)
    this.#arm()
  }

  /** Nothing is called so any more. */
  forget(name: string): void {
    this.#entries.delete(name)
    this.#fired.forget(name)
  }

  /** Of what is fired; empty for a function that is stopped. */
  times(name: string): readonly ScheduleTime[] {
    const dues = this.#entries.get(name)?.dues ?? []
    return dues.map(({ schedule: { expression, timeZone }, next }) => ({ expression, timeZone, next }))
  }

  /** Fires nothing any more. */
  stop(): void {
    this.#cancel()
    this.#stopping.abort()
  }

  /** Resolves when nothing runs that was fired, or at the limit. Called again, the shorter limit counts. */
  async drain(limitMs: number): Promise<void> {
    this.stop()
    const timer = setTimeout(() => this.#ending.abort(shuttingDown()), limitMs)
    await Promise.all(this.#running)
    clearTimeout(timer)
  }

  #live(name: string): VersionRecord | undefined {
    const { store, alias, admitted } = this.#options
    const version = store.aliases.get(name, alias)?.version
    return version === undefined ? undefined : admitted({ name, version })
  }

  #put(record: VersionRecord, schedules: readonly FunctionSchedule[] | undefined): void {
    const { name, config } = record
    const { clock, store } = this.#options
    const before = this.#entries.get(name)
    const from = before?.isHeld === true ? before.from : clock.now()
    const provider = this.#providers.get(config.provider)
    if (schedules === undefined || provider === undefined) {
      this.#entries.set(name, { isHeld: true, from, dues: before?.dues ?? [] })
      void this.#prepare(record)
      return
    }
    const start = store.functions.get(name)?.createdAt ?? from
    try {
      const dues = schedules.map((schedule): DueTime => {
        const id = idOf(schedule)
        const open = provider.open(schedule)
        const same = before?.dues.find((due) => due.id === id)
        return { id, schedule, open, start, next: same === undefined ? open.next(from, start) : same.next }
      })
      this.#entries.set(name, { isHeld: false, from, dues })
    } catch (error) {
      this.#entries.delete(name)
      this.#unread(record, error)
    }
  }

  /** Reads what is not known yet. */
  async #prepare(record: VersionRecord): Promise<void> {
    const { name, config } = record
    try {
      const isKnown = await this.known.learn(record)
      const provider = await emulatorOf(config.provider).schedules?.()
      if (provider !== undefined) this.#providers.set(config.provider, provider)
      if (isKnown && provider !== undefined) this.changed(name)
    } catch (error) {
      this.#unread(record, error)
    }
  }

  #unread({ name, version }: FunctionKey, error: unknown): void {
    const { log, runtime, clock } = this.#options
    const message = errorMessage(error)
    log.warn('schedules.read', { version: `${name}@${version}`, message })
    const text = `its schedules cannot be read: ${message}`
    const line = { stream: 'platform', level: 'error', text } as const
    runtime.logs.append({ at: clock.now(), function: name, version, ...line })
  }

  #arm(waitMs?: number): void {
    this.#cancel()
    if (this.#stopping.signal.aborted) return
    const times = this.#active().flatMap(([, { dues }]) => dues.map(({ next = Infinity }) => next))
    const due = times.reduce((one, other) => Math.min(one, other), Infinity)
    if (due === Infinity) return
    const { clock } = this.#options
    const untilMs = Math.max(0, due - clock.now())
    this.#cancel = clock.after(waitMs ?? Math.min(untilMs, LOOK_MS), () => this.#look())
  }

  #active(): readonly (readonly [string, Entry])[] {
    return [...this.#entries].filter(([, { isHeld }]) => !isHeld)
  }

  #look(): void {
    const { store, clock, log } = this.#options
    const now = clock.now()
    if (this.#seen - now > SET_RIGHT_MS_MAX) this.#countAgain(now)
    this.#seen = now
    const due = this.#active().filter(([, { dues }]) => dues.some(({ next }) => (next ?? Infinity) <= now))
    try {
      // Before they run: what was fired is not fired again, whatever happens to this process.
      const firings =
        due.length === 0
          ? []
          : store.transaction(() => due.flatMap(([name, { dues }]) => this.#claim(name, dues, now)))
      for (const [, { dues }] of due) for (const one of dues) advance(one, now)
      for (const firing of firings) this.#fire(firing)
      this.#arm()
    } catch (error) {
      log.error('schedules.fire', { message: errorMessage(error) })
      this.#arm(AGAIN_MS)
    }
  }

  /** The clock was set back: it is another time. */
  #countAgain(now: number): void {
    for (const [, { dues }] of this.#active())
      for (const one of dues) one.next = one.open.next(now, one.start)
  }

  /** What no other process has fired. */
  #claim(name: string, dues: readonly DueTime[], now: number): readonly Firing[] {
    const fired = this.#fired.of(name, now)
    const firings = dues.flatMap((one): Firing[] => {
      const due = dueBy(one, now)
      return due === undefined || due <= fired ? [] : [{ name, one, due }]
    })
    if (firings.length > 0) this.#fired.set(name, Math.max(...firings.map(({ due }) => due)))
    return firings
  }

  #fire({ name, one: { schedule, open }, due }: Firing): void {
    const { runtime, clock } = this.#options
    const running = runScheduled({
      runtime,
      clock,
      schedule,
      open,
      due,
      version: () => this.#live(name),
      ending: this.#ending.signal,
      stopping: this.#stopping.signal,
    }).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }
}

function shuttingDown(): FlexiError {
  return new FlexiError('FLEXI_SHUTTING_DOWN', 'the daemon stops')
}

function advance(one: DueTime, now: number): void {
  if (one.next !== undefined && one.next <= now) one.next = one.open.next(now, one.start)
}
