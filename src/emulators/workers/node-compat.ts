import { builtinModules } from 'node:module'

import type { Plugin } from 'esbuild'

import { FlexiError } from '../../core/errors.ts'

/** Since this date `nodejs_compat` means the whole of it; before, a program had to write `node:` itself. */
const BARE_NAMES_SINCE = '2024-09-23'
/** From this date on the flag need not be written. */
const DEFAULT_SINCE = '2026-08-04'

export interface Compatibility {
  readonly date: string
  readonly flags: readonly string[]
}

/** Whether `import 'fs'` means workerd's own `node:fs`. `node:…` is always left to the runtime, which says what it lacks. */
export function hasBareNodeNames({ date, flags }: Compatibility): boolean {
  if (flags.includes('no_nodejs_compat') || flags.includes('no_nodejs_compat_v2')) return false
  if (flags.includes('nodejs_compat_v2')) return true
  return (flags.includes('nodejs_compat') && date >= BARE_NAMES_SINCE) || date >= DEFAULT_SINCE
}

/** Hands `fs` and `node:fs` to workerd. A package of the same name (`buffer`, `punycode`) loses, as it does in Node. */
export function nodeModules(compatibility: Compatibility): Plugin {
  const bare = hasBareNodeNames(compatibility)
  const names = new Set(builtinModules.filter((name) => !name.startsWith('_')))
  return {
    name: 'node-modules',
    setup(build) {
      build.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, external: true, sideEffects: false }))
      if (!bare) return
      build.onResolve({ filter: /^[a-z_/]+$/ }, ({ path }) =>
        names.has(path) ? { path: `node:${path}`, external: true, sideEffects: false } : undefined,
      )
    },
  }
}

/** A build that stumbles over `fs` without `nodejs_compat` is told about the flag. */
export function withNodeHint(error: unknown, compatibility: Compatibility): unknown {
  if (!(error instanceof FlexiError) || hasBareNodeNames(compatibility)) return error
  const faults = error.faults.map((fault) => {
    const name = /^Could not resolve "([^"]+)"/.exec(fault.message)?.[1]
    return name !== undefined && builtinModules.includes(name)
      ? { ...fault, hint: `Write "node:${name}", and "nodejs_compat" into "compatibility_flags".` }
      : fault
  })
  return new FlexiError(error.code, error.message, { faults, cause: error.cause })
}
