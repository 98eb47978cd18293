import { availableParallelism } from 'node:os'

import { FlexiError } from '../core/errors.ts'
import type { ServerSettings } from '../core/project.ts'

export interface ReadServerSettingsOptions {
  /** What the command line says; undefined is not said. */
  readonly flags: {
    readonly port?: number | string | undefined
    readonly host?: string | undefined
    readonly threads?: number | string | undefined
  }
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What flexi.jsonc says. */
  readonly project: ServerSettings
  /** Used when nobody says one. `dev` binds 127.0.0.1, `proxy` what FlexiLib binds, 0.0.0.0. Default 127.0.0.1. */
  readonly defaultHost?: string | undefined
}

export interface EffectiveSettings {
  /** 0 takes any free port. */
  readonly port: number
  /** True when nobody named a port: another one does as well. */
  readonly portIsDefault: boolean
  readonly host: string
  /** How many calls of a native library run at once. */
  readonly threads: number
  /** FlexiLib's: the first number of its log line follows from it. */
  readonly responsePreallocationKb: number
}

const DEFAULT_PORT = 8069
const DEFAULT_RESPONSE_PREALLOCATION_KB = 8

/**
 * Flags win over the environment (FLEXI_PORT over PORT), that over flexi.jsonc, that over the defaults. An empty variable is not set.
 * @throws FlexiError FLEXI_CONFIG naming every number that is none, with its value and the range.
 */
export function readServerSettings(options: ReadServerSettingsOptions): EffectiveSettings {
  const { flags, environment, project } = options
  const problems: string[] = []
  const read = (sources: readonly Source[], range: Range): number => {
    const source = sources.find(isSaid)
    if (source?.value === undefined) return range.default
    const number = wholeNumber(source.value)
    if (number !== undefined && number >= range.min && number <= range.max) return number
    const shown = JSON.stringify(source.value)
    problems.push(`${source.name} is ${shown}; it must be a whole number from ${range.min} to ${range.max}`)
    return range.default
  }
  const variable = (name: string): Source => ({ name, value: environment[name] })
  const ports = [
    { name: '--port', value: flags.port },
    variable('FLEXI_PORT'),
    variable('PORT'),
    { name: 'server.port', value: project.port },
  ]
  const settings = {
    port: read(ports, { min: 0, max: 65_535, default: DEFAULT_PORT }),
    portIsDefault: !ports.some(isSaid),
    host:
      [flags.host, environment['FLEXI_HOST'], environment['HOST'], project.host].find(
        (host) => host !== undefined && host !== '',
      ) ??
      options.defaultHost ??
      '127.0.0.1',
    threads: read(
      [
        { name: '--threads', value: flags.threads },
        variable('FLEXI_THREADS'),
        variable('SERVER_THREAD_COUNT'),
      ],
      { min: 1, max: THREADS_MAX, default: availableParallelism() },
    ),
    responsePreallocationKb: read([variable('RESPONSE_PREALLOCATION_KB')], {
      min: 0,
      max: PREALLOCATION_KB_MAX,
      default: DEFAULT_RESPONSE_PREALLOCATION_KB,
    }),
  }
  if (problems.length === 0) return settings
  throw new FlexiError('FLEXI_CONFIG', problems.join('\n'), {
    hint: 'Correct the value, or unset it to take the default.',
  })
}

const THREADS_MAX = 1024
const PREALLOCATION_KB_MAX = 1_048_576

interface Source {
  readonly name: string
  readonly value: number | string | undefined
}

function isSaid({ value }: Source): boolean {
  return value !== undefined && value !== ''
}

interface Range {
  readonly min: number
  readonly max: number
  readonly default: number
}

/** Decimal digits only: `0x10`, `1e3` and ` 80 ` are slips, not numbers. */
function wholeNumber(value: number | string): number | undefined {
  const text = String(value)
  return /^\d+$/.test(text) ? Number(text) : undefined
}
