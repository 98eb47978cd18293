import { builtinModules } from 'node:module'

import { FlexiError } from '../../core/errors.ts'

/** Since this date `nodejs_compat` means the whole of it; before, a program had to write `node:` itself. */
const WHOLE_SINCE = '2024-09-23'
/** From this date on the flag need not be written. */
const DEFAULT_SINCE = '2026-08-04'

export interface Compatibility {
  readonly date: string
  readonly flags: readonly string[]
}

/**
 * How a program may use Node.js. `v2`: every module with and without `node:`, what workerd lacks filled in, and Node's globals. `v1`: the
 * modules workerd has, with `node:` only. `als`: `node:async_hooks` alone. `none`: nothing; the runtime refuses the import.
 */
export type NodeMode = 'v2' | 'v1' | 'als' | 'none'

/** Source: developers.cloudflare.com/workers/configuration/compatibility-flags, "Node.js compatibility". */
export function nodeMode({ date, flags }: Compatibility): NodeMode {
  const asked =
    flags.includes('nodejs_compat') || (date >= DEFAULT_SINCE && !flags.includes('no_nodejs_compat'))
  const whole = date >= WHOLE_SINCE && !flags.includes('no_nodejs_compat_v2')
  if (flags.includes('nodejs_compat_v2') || (asked && whole)) return 'v2'
  if (asked) return 'v1'
  return flags.includes('nodejs_als') ? 'als' : 'none'
}

/** Flags that exclude each other, and one that is gone: a sentence for each. */
export function nodeFlagFaults(
  flags: readonly string[],
): readonly { readonly message: string; readonly hint: string }[] {
  const both = PAIRS.filter(([on, off]) => flags.includes(on) && flags.includes(off))
  return [
    ...both.map(([on, off]) => ({
      message: `the compatibility flags "${on}" and "${off}" exclude each other`,
      hint: 'Keep one of them.',
    })),
    ...(flags.includes('experimental:nodejs_compat_v2')
      ? [{ message: 'the flag "experimental:nodejs_compat_v2" is gone', hint: 'Write "nodejs_compat".' }]
      : []),
  ]
}

const PAIRS = [
  ['nodejs_compat', 'nodejs_compat_v2'],
  ['nodejs_compat', 'no_nodejs_compat'],
  ['nodejs_compat_v2', 'no_nodejs_compat_v2'],
  ['nodejs_compat_populate_process_env', 'nodejs_compat_do_not_populate_process_env'],
  ['global_navigator', 'no_global_navigator'],
] as const satisfies readonly (readonly [string, string])[]

/** A build that stumbles over `fs` without `nodejs_compat` is told about the flag. */
export function withNodeHint(error: unknown, compatibility: Compatibility): unknown {
  const mode = nodeMode(compatibility)
  if (!(error instanceof FlexiError) || mode === 'v2') return error
  const faults = error.faults.map((fault) => {
    const name = /^Could not resolve "([^"]+)"/.exec(fault.message)?.[1]
    return name !== undefined && builtinModules.includes(name)
      ? { ...fault, hint: hintOf(name, mode) }
      : fault
  })
  return new FlexiError(error.code, error.message, { faults, cause: error.cause })
}

function hintOf(name: string, mode: NodeMode): string {
  if (mode === 'v1')
    return `Write "node:${name}", or a "compatibility_date" of ${WHOLE_SINCE} or later, from which on bare names work.`
  return `It is a module of Node.js: write "nodejs_compat" into "compatibility_flags", with a "compatibility_date" of ${WHOLE_SINCE} or later.`
}
