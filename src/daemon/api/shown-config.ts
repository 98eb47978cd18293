import { isDeepStrictEqual } from 'node:util'

import type { VersionConfig } from '../model.ts'
import { defaultConfig, type ShownConfig } from './schemas/config.ts'

/** Fields of YFASS's own configuration: always told. */
const ALWAYS: ReadonlySet<string> = new Set(['addr', 'sandbox'])

let defaults: Readonly<Record<string, unknown>> | undefined

/**
 * A configuration as it is told: what YFASS has, and of ours what differs from the default. So what `override` was sent is what `get`
 * answers.
 */
export function showConfig(config: VersionConfig): ShownConfig {
  defaults ??= { ...defaultConfig() }
  const entries = Object.entries(config).filter(
    ([name, value]) =>
      value !== undefined && (ALWAYS.has(name) || !isDeepStrictEqual(value, defaults?.[name])),
  )
  return Object.fromEntries(entries) as ShownConfig
}

/** What those see whom its group does not admit: environments, arguments and a provider's settings have secrets of others in them. */
export function outlineOf({ sandbox, ...config }: VersionConfig): VersionConfig {
  return { ...config, environment: {}, options: {}, sandbox: { ...sandbox, args: [], envs: {} } }
}
