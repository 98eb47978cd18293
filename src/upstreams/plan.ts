import { LIMITS } from '../core/limits.ts'
import type { BalancePolicy, UpstreamSettings } from '../core/upstream.ts'
import { readFieldEdits, type FieldEdits } from './field-edits.ts'
import { secondsToNextCheck } from './health.ts'

/** An upstream's settings with every default in its place. */
export interface Plan {
  readonly balance: BalancePolicy
  /** Origins asked after the first. */
  readonly retriesMax: number
  readonly retryStatus: ReadonlySet<number>
  readonly tryMs: number
  readonly totalMs: number
  /** True when the settings name the total: it is then kept to by the clock, connecting included. */
  readonly totalIsStrict: boolean
  readonly responseEdits: FieldEdits | undefined
  /** Sent when every origin is down. */
  readonly retryAfterSeconds: number
}

/** Where silence is unlimited, all tries together still are not: the clock must stop somebody who retries. */
const FOREVER_MS = 2 ** 31 - 1

/** @throws FlexiError FLEXI_CONFIG for fields that cannot be sent. */
export function planOf(settings: UpstreamSettings): Plan {
  const { balance, retries, retryStatus, timeouts, responseFields, health } = settings
  const tryMs = timeouts?.tryMs ?? LIMITS.requestMs
  const totalMs = timeouts?.totalMs ?? tryMs
  return {
    balance: balance ?? { kind: 'round-robin' },
    retriesMax: retries ?? Number.POSITIVE_INFINITY,
    retryStatus: new Set(retryStatus),
    tryMs,
    totalMs: totalMs === 0 ? FOREVER_MS : totalMs,
    totalIsStrict: timeouts?.totalMs !== undefined && totalMs !== 0,
    responseEdits: readFieldEdits(responseFields),
    retryAfterSeconds: secondsToNextCheck(health),
  }
}
