import type { FunctionSchedule, OpenSchedule } from '../../core/schedule.ts'

/** What is due so long ago is not made up for: a restart takes some seconds, and a machine that slept was away. */
export const LATE_MS_MAX = 30_000

/** One schedule of a function, and when it is due next. */
export interface DueTime {
  /** Equal for those that are due at the same times. */
  readonly id: string
  readonly schedule: FunctionSchedule
  readonly open: OpenSchedule
  /** When it began to count. */
  readonly start: number
  /** Undefined once it is over. */
  next: number | undefined
}

export function idOf({ expression, timeZone }: FunctionSchedule): string {
  return JSON.stringify([expression, timeZone])
}

/** The time at which it is due by `now`, the last one where there are several; undefined when it is not, or was too long ago. */
export function dueBy({ next, open, start }: DueTime, now: number): number | undefined {
  if (next === undefined || next > now) return undefined
  const due = next < now - LATE_MS_MAX ? open.next(now - LATE_MS_MAX - 1, start) : next
  return due !== undefined && due <= now ? due : undefined
}
