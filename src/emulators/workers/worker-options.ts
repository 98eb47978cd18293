import { configError } from '../../core/errors.ts'
import type { FunctionConfig } from '../../core/function.ts'

/** What flexi.jsonc says of a worker. */
export interface WorkerOptions {
  /** Path of the wrangler file. */
  readonly config?: string
  /** A key of its `env`. */
  readonly env?: string
  /** Of the wrangler file's text; only there to tell two configurations apart. */
  readonly digest?: string
  /** The folder is what `shipWorker` wrote: nothing is built, and nothing outside it is read. */
  readonly shipped?: boolean
  /** False: its crons do not fire by the clock. */
  readonly crons?: boolean
  /** By whose clocks its crons fire: `local` or a name such as `Europe/Berlin`; UTC, as in the cloud, when undefined. */
  readonly time_zone?: string
}

/** What each option has to be, in words that follow "must be". */
const EXPECTED = {
  config: { words: 'a string', fits: isString },
  env: { words: 'a string', fits: isString },
  digest: { words: 'a string', fits: isString },
  shipped: { words: 'true or false', fits: (value) => typeof value === 'boolean' },
  crons: { words: 'true or false', fits: (value) => typeof value === 'boolean' },
  time_zone: { words: '"local" or the name of a time zone, such as "Europe/Berlin"', fits: isTimeZone },
} as const satisfies Record<
  keyof WorkerOptions,
  { readonly words: string; readonly fits: (value: unknown) => boolean }
>

/** @throws FlexiError FLEXI_CONFIG with a fault for each option that cannot be. */
export function checkOptions({ name, origin, placeOf, options }: FunctionConfig): WorkerOptions {
  const faults = Object.entries(options).flatMap(([key, value]) => {
    const problem = value === undefined ? undefined : problemOf(key, value)
    if (problem === undefined) return []
    const known = Object.keys(EXPECTED).filter((one) => !INTERNAL.has(one))
    return [
      {
        place: origin,
        ...placeOf?.([key]),
        message: `${name}: "${key}" ${problem}`,
        hint: `A worker knows ${known.map((one) => `"${one}"`).join(', ')}.`,
      },
    ]
  })
  if (faults.length > 0) throw configError(faults)
  return options as WorkerOptions
}

/** Nobody writes them. */
const INTERNAL: ReadonlySet<string> = new Set(['digest', 'shipped'])

function problemOf(key: string, value: unknown): string | undefined {
  if (!isKnown(key)) return 'is no option of a worker'
  const { words, fits } = EXPECTED[key]
  return fits(value) ? undefined : `must be ${words}`
}

function isKnown(key: string): key is keyof WorkerOptions {
  return Object.hasOwn(EXPECTED, key)
}

function isString(value: unknown): boolean {
  return typeof value === 'string'
}

function isTimeZone(value: unknown): boolean {
  if (typeof value !== 'string') return false
  if (value === 'local') return true
  try {
    new Intl.DateTimeFormat('en', { timeZone: value }).format()
    return true
  } catch {
    return false
  }
}
