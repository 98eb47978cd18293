import { memberOf } from '../batch-failures.ts'

/** Members of a service's answer, whatever it is: what is missing is empty. */
export function list(answer: unknown, name: string): readonly unknown[] {
  const value = memberOf(answer, name)
  return Array.isArray(value) ? value : []
}

export function optionalText(answer: unknown, name: string): string | undefined {
  const value = memberOf(answer, name)
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Seconds since 1970 as milliseconds; 0 for what is no time. */
export function timeMs(answer: unknown, name: string): number {
  const time = Math.round(Number(memberOf(answer, name)) * 1000)
  return Number.isNaN(new Date(time).getTime()) ? 0 : time
}

export function text(answer: unknown, name: string): string {
  return optionalText(answer, name) ?? ''
}
