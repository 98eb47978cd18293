import type { FunctionConfig } from '../../../core/function.ts'

/** What becomes of an event that nobody waits for, when its function fails or has no room. serverless.yml has the same names. */
export interface EventOptions {
  /** 0, 1 or 2. */
  readonly maximumRetryAttempts: number
  /** Seconds: 60 to 21,600. */
  readonly maximumEventAge: number
}

interface Bounds {
  readonly min: number
  readonly max: number
  /** In words, for a hint. */
  readonly meaning: string
}

const BOUNDS: Readonly<Record<keyof EventOptions, Bounds>> = {
  maximumRetryAttempts: { min: 0, max: 2, meaning: 'attempts after the first one fails' },
  maximumEventAge: { min: 60, max: 21_600, meaning: 'seconds that an event may wait' },
}

/** Lambda's defaults are the largest. */
export function eventOptionsOf({ options }: FunctionConfig): EventOptions {
  const value = (name: keyof EventOptions): number => {
    const given = options[name]
    return typeof given === 'number' ? given : BOUNDS[name].max
  }
  return {
    maximumRetryAttempts: value('maximumRetryAttempts'),
    maximumEventAge: value('maximumEventAge'),
  }
}

/** Whether the configuration says anything of it. */
export function hasEventOptions({ options }: FunctionConfig): boolean {
  return Object.keys(BOUNDS).some((name) => options[name] !== undefined)
}

/** Names of the options, for who tells known from unknown ones. */
export const EVENT_OPTIONS = ['maximumRetryAttempts', 'maximumEventAge'] as const

/** What is wrong with the options as they were written. */
export function eventOptionFaults(
  options: FunctionConfig['options'],
): readonly { readonly message: string; readonly hint: string }[] {
  return Object.entries(BOUNDS).flatMap(([name, { min, max, meaning }]) => {
    const value = options[name]
    const fits = typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
    if (value === undefined || fits) return []
    const shown = JSON.stringify(value)
    return [
      {
        message: `"${name}" cannot be ${shown}`,
        hint: `Write a whole number of ${meaning}, ${min} to ${max}.`,
      },
    ]
  })
}
