import type { FunctionFault } from '../../core/function.ts'

/** What a REPORT line tells. */
export interface Report {
  readonly id: string
  readonly durationMs: number
  readonly memoryMb: number
  readonly memoryUsedMb: number
  /** Set on the first invocation of an environment. */
  readonly initMs: number | undefined
  readonly fault: Pick<FunctionFault, 'kind' | 'name'> | undefined
}

/** `memoryUsedMb` may be above what the function has, by what is ours. */
export function reportOf(
  measured: Omit<Report, 'memoryMb'>,
  { memoryMb, timeoutMs }: { readonly memoryMb: number; readonly timeoutMs: number },
): Report {
  const { durationMs, memoryUsedMb, fault } = measured
  return {
    ...measured,
    durationMs: fault?.kind === 'timeout' ? timeoutMs : durationMs,
    memoryMb,
    memoryUsedMb: Math.min(memoryUsedMb, memoryMb),
  }
}

export function startLine(id: string, version: string): string {
  return `START RequestId: ${id} Version: ${version}`
}

export function endLine(id: string): string {
  return `END RequestId: ${id}`
}

/** Lambda's last line of an invocation; its fields are separated by tabs, and one ends it. */
export function reportLine(report: Report): string {
  const { id, durationMs, memoryMb, memoryUsedMb, initMs, fault } = report
  const init = initMs === undefined ? '' : `Init Duration: ${initMs.toFixed(2)} ms\t`
  const end =
    fault === undefined
      ? ''
      : `Status: ${fault.kind === 'timeout' ? 'timeout' : `error\tError Type: ${fault.name}`}\t`
  return `REPORT RequestId: ${id}\tDuration: ${durationMs.toFixed(2)} ms\tBilled Duration: ${Math.ceil(durationMs)} ms\tMemory Size: ${memoryMb} MB\tMax Memory Used: ${memoryUsedMb} MB\t${init}${end}`
}

/** `nodejs20.x`, `20.20.2` → `INIT_START Runtime Version: nodejs:20.v20.20.2` */
export function initStartLine(name: string, version: string): string {
  const runtime = name.replace(/^([a-z]+)(\d+(?:\.\d+)?)(?:\.x)?$/, '$1:$2')
  return `INIT_START Runtime Version: ${runtime}.v${version}\tRuntime Version ARN: arn:aws:lambda:local::runtime:${runtime}`
}

export function timeoutMessage(timeoutMs: number): string {
  return `Task timed out after ${(timeoutMs / 1000).toFixed(2)} seconds`
}

const SIGNALS: Readonly<Record<string, string>> = {
  SIGABRT: 'aborted',
  SIGBUS: 'bus error',
  SIGFPE: 'floating point exception',
  SIGILL: 'illegal instruction',
  SIGINT: 'interrupt',
  SIGKILL: 'killed',
  SIGSEGV: 'segmentation fault',
  SIGTERM: 'terminated',
}

/** How Lambda words the end of a runtime process. */
export function exitMessage(code: number | null, signal: string | null): string {
  if (signal !== null) return `Runtime exited with error: signal: ${SIGNALS[signal] ?? signal}`
  if (code === 0 || code === null) return 'Runtime exited without providing a reason'
  return `Runtime exited with error: exit status ${code}`
}
