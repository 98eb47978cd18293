import type { Invocation, Outcome, PrintedLine } from '../environments/environment.ts'
import type { Report } from '../report.ts'

type Status = 'success' | 'error' | 'failure' | 'timeout'

/** What is told of an invocation while it runs. Times are `performance.now()`. */
export interface Traced {
  readonly invocation: Invocation
  readonly startedAt: number
  /** When the first byte of the result was there. */
  respondedAt: number | undefined
  doneAt: number | undefined
  producedBytes: number
  status: Status | undefined
  errorType: string | undefined
}

export function traced(invocation: Invocation): Traced {
  return {
    invocation,
    startedAt: performance.now(),
    respondedAt: undefined,
    doneAt: undefined,
    producedBytes: 0,
    status: undefined,
    errorType: undefined,
  }
}

/** Notes what came of it. */
export function noteOutcome(current: Traced, outcome: Outcome): void {
  current.doneAt = performance.now()
  current.respondedAt ??= current.doneAt
  const error = errorBodyOf(outcome)
  current.status = error === undefined ? 'success' : 'error'
  current.errorType = error
  if (outcome.kind === 'result') current.producedBytes = outcome.payload.length
}

function errorBodyOf(outcome: Outcome): string | undefined {
  if (outcome.kind === 'too-large') return 'Function.ResponseSizeTooLarge'
  if (outcome.kind === 'result') return undefined
  if (outcome.kind === 'error') return outcome.errorType ?? typeIn(outcome.payload)
  return outcome.error === undefined ? undefined : typeIn(outcome.error)
}

function typeIn(payload: Buffer): string {
  try {
    const { errorType } = JSON.parse(payload.toString()) as { readonly errorType?: unknown }
    return typeof errorType === 'string' ? errorType : 'Runtime.Unknown'
  } catch {
    return 'Runtime.Unknown'
  }
}

export function startRecord({ id, trace }: Invocation, version: string): object {
  return { requestId: id, version, tracing: tracingOf(trace) }
}

export function runtimeDoneRecord(current: Traced): object {
  const { invocation, startedAt, status, errorType, producedBytes } = current
  return {
    requestId: invocation.id,
    status,
    ...(errorType === undefined ? {} : { errorType }),
    metrics: { durationMs: millis(performance.now() - startedAt), producedBytes },
    spans: spansOf(current),
    tracing: tracingOf(invocation.trace),
  }
}

/** `responseLatency` until the first byte, `responseDuration` until the last, `runtimeOverhead` until the runtime is back. */
function spansOf({ startedAt, respondedAt, doneAt }: Traced): readonly object[] {
  if (respondedAt === undefined || doneAt === undefined) return []
  const now = performance.now()
  const span = (name: string, from: number, to: number): object => ({
    name,
    start: new Date(performance.timeOrigin + from).toISOString(),
    durationMs: millis(to - from),
  })
  return [
    span('responseLatency', startedAt, respondedAt),
    span('responseDuration', respondedAt, doneAt),
    span('runtimeOverhead', doneAt, now),
  ]
}

export function reportRecord(report: Report, trace: string | undefined): object {
  const { id, durationMs, memoryMb, memoryUsedMb, initMs, fault } = report
  return {
    requestId: id,
    status: statusOf(fault),
    ...(fault === undefined ? {} : { errorType: fault.name }),
    metrics: {
      durationMs: millis(durationMs),
      billedDurationMs: Math.ceil(durationMs),
      memorySizeMB: memoryMb,
      maxMemoryUsedMB: memoryUsedMb,
      ...(initMs === undefined ? {} : { initDurationMs: millis(initMs) }),
    },
    ...(trace === undefined ? {} : { tracing: tracingOf(trace) }),
  }
}

function statusOf(fault: Report['fault']): Status {
  if (fault === undefined) return 'success'
  if (fault.kind === 'timeout') return 'timeout'
  return fault.kind === 'crash' || fault.kind === 'memory' ? 'failure' : 'error'
}

/** X-Ray's header, and the segment that is the function's own. */
function tracingOf(value: string): object {
  const spanId = /Parent=([^;]+)/.exec(value)?.[1]
  return { ...(spanId === undefined ? {} : { spanId }), type: 'X-Amzn-Trace-Id', value }
}

/** A line as CloudWatch would have it; JSON that was logged as JSON is handed on as such. */
export function printedRecord({ level, text, format }: PrintedLine, requestId: string | undefined): unknown {
  if (format === 'whole') {
    try {
      return JSON.parse(text) as unknown
    } catch {
      return `${text}\n`
    }
  }
  return level === undefined
    ? `${text}\n`
    : `${new Date().toISOString()}\t${requestId ?? 'undefined'}\t${level}\t${text}\n`
}

function millis(value: number): number {
  return Math.round(value * 1000) / 1000
}
