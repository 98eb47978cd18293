import { resolve } from 'node:path'

import type { ApiFunction } from '../../../core/function.ts'
import { settingsOf } from '../service/function-settings.ts'
import type { StoredConfig } from './state.ts'

/** Options that say where code comes from: copies of it have it in their folder. */
const CODE_OPTIONS = ['entry', 'inlineCode', 'archive', 'archiveStamp', 'esbuild'] as const
/** Options of a function as a whole, which no version of it has. */
const FUNCTION_OPTIONS = ['sources', 'alias', 'reservedConcurrency', 'provisionedConcurrency', 'url'] as const

/** Layers are named from the function's folder: once its code is elsewhere, they are where they were. */
export function movable(config: StoredConfig, served: ApiFunction): StoredConfig {
  const { layers } = settingsOf({ options: config.options })
  if (layers === undefined) return config
  const { directory } = served.config
  return {
    ...config,
    options: {
      ...config.options,
      layers: layers.map((layer) => (layer.startsWith('arn:') ? layer : resolve(directory, layer))),
    },
  }
}

export function withoutCode(options: StoredConfig['options']): StoredConfig['options'] {
  return without(options, CODE_OPTIONS)
}

/** What a version has of the function that it is made of. */
export function versionConfig(name: string, config: StoredConfig): StoredConfig {
  const options = without(config.options, [...CODE_OPTIONS, ...FUNCTION_OPTIONS])
  return {
    ...config,
    options: { ...options, ...packagedHandler(config.options['handler']), functionName: name },
  }
}

function without(
  options: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !names.includes(name)))
}

/** `src/hello.ts` names a source; what is shipped is the module that it became. */
function packagedHandler(handler: unknown): { readonly handler?: string } {
  if (typeof handler !== 'string' || !/\.[cm]?[jt]sx?$/.test(handler)) return {}
  return { handler: handler.replace(/\.[cm]?[jt]sx?$/, '.handler') }
}
