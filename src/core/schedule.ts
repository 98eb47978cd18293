import type { FunctionConfig } from './function.ts'

/** Something of a function that is due at times. Plain data: what was read once can be kept, and opened again without the files. */
export interface FunctionSchedule {
  /** As its file has it: `0 7 * * MON-FRI`, `rate(5 minutes)`. */
  readonly expression: string
  /** `local` or a name such as `Europe/Berlin`; UTC when undefined. */
  readonly timeZone?: string | undefined
  /** Further attempts at what failed. */
  readonly retries: number
  /** The provider's own: what its event is made of. */
  readonly details?: unknown
}

/** What a function is run with besides requests. */
export interface FunctionEvent {
  /** `workers:cron`, for `Emulator.runEvent`. Undefined: `Instance.invoke` takes the event, as JSON. */
  readonly source?: string | undefined
  /** Plain data. */
  readonly event: unknown
}

/** A schedule that counts. Times are milliseconds since 1970. */
export interface OpenSchedule {
  /** The first time after `after`; undefined when there is none any more. `start` is when it began to count. */
  next(after: number, start: number): number | undefined
  /** What the function is run with, because of what was due at this time. */
  event(due: number): FunctionEvent
}

/** How a provider's deployed functions run by the clock. */
export interface ProviderSchedules {
  /** What the options and the shipped files of a function say. @throws FlexiError FLEXI_CONFIG. */
  read(config: FunctionConfig): Promise<readonly FunctionSchedule[]>
  /** @throws FlexiError FLEXI_CONFIG. */
  open(schedule: FunctionSchedule): OpenSchedule
}
