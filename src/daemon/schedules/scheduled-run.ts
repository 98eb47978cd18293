import { randomUUID } from 'node:crypto'

import type { Clock } from '../../core/clock.ts'
import { errorMessage } from '../../core/errors.ts'
import type { InvokeResult } from '../../core/function.ts'
import type { FunctionEvent, FunctionSchedule, OpenSchedule } from '../../core/schedule.ts'
import type { FunctionKey, LogRecord } from '../model.ts'
import type { Runtime } from '../runtime.ts'

/** Before each further attempt, as Lambda waits for what is asynchronous. */
const RETRY_MS = [60_000, 120_000]
/** Of what a handler that failed returned, in its log. */
const SHOWN_MAX = 1_000

export interface RunOptions {
  readonly runtime: Pick<Runtime, 'run' | 'logs'>
  readonly clock: Clock
  /** The version that is to be run; undefined when the function is no more, or stopped. */
  readonly version: () => FunctionKey | undefined
  readonly schedule: FunctionSchedule
  readonly open: OpenSchedule
  /** Milliseconds since the epoch. */
  readonly due: number
  /** Ends what runs. */
  readonly ending: AbortSignal
  /** Nothing is tried again. */
  readonly stopping: AbortSignal
}

/** Runs a function for what was due, and again where it failed and its provider does that. What happens is in its log; never rejects. */
export async function runScheduled(options: RunOptions): Promise<void> {
  const { schedule, open, due, clock, stopping } = options
  const id = randomUUID()
  const event = open.event(due)
  for (let attempt = 1; ; attempt += 1) {
    const key = options.version()
    if (key === undefined) return
    const failure = await runOnce(options, key, { id, event })
    if (failure === undefined) return
    const againMs = attempt > schedule.retries ? undefined : (RETRY_MS[attempt - 1] ?? 0)
    const isLast = againMs === undefined || stopping.aborted
    const next = isLast ? '' : `; it is tried again in ${againMs / 1000} s`
    say(options, key, { level: 'error', text: `${failure}${next}`, requestId: id })
    if (isLast) return
    await pause(clock, againMs, stopping)
    if (stopping.aborted) {
      say(options, key, {
        level: 'warn',
        text: 'not tried again: the daemon ends, or is restarted',
        requestId: id,
      })
      return
    }
  }
}

/** What went wrong. */
async function runOnce(
  options: RunOptions,
  key: FunctionKey,
  { id, event }: { readonly id: string; readonly event: FunctionEvent },
): Promise<string | undefined> {
  const { runtime, ending } = options
  const from = performance.now()
  try {
    const result = await runtime.run(key, event, { id, signal: ending })
    const took = `${Math.round(performance.now() - from)} ms`
    if (result.functionError !== undefined) return `failed after ${took}: ${shown(result)}`
    say(options, key, { level: 'info', text: `ok in ${took}`, requestId: id })
    return undefined
  } catch (error) {
    return `failed: ${errorMessage(error)}`
  }
}

function shown({ payload }: InvokeResult): string {
  return Buffer.from(payload).toString().slice(0, SHOWN_MAX)
}

function say(
  { runtime, clock, schedule }: RunOptions,
  { name, version }: FunctionKey,
  line: Pick<LogRecord, 'level' | 'text' | 'requestId'>,
): void {
  const text = `schedule ${schedule.expression}: ${line.text}`
  runtime.logs.append({ at: clock.now(), function: name, version, stream: 'platform', ...line, text })
}

/** Resolves after `ms`, or as soon as the signal aborts. */
function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const cancel = clock.after(ms, end)
    signal.addEventListener('abort', end)
  })
}
