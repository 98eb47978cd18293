import type { ComposedPart } from '../groups/composition.ts'
import type { Settings } from '../settings.ts'
import type { Program } from '../program.ts'
import type { MiniflareBindings } from '../miniflare.ts'

/** What miniflare brings along for programs, by what they write. */
const CACHE = /\bcaches\b/
const EMAIL = /cloudflare:email/

/** Whether this is all of a runtime and needs nothing of miniflare, so that workerd can be started without it. */
export function isBare(parts: readonly ComposedPart[]): boolean {
  const [part, ...others] = parts
  if (part === undefined || others.length > 0 || part.member.scope.inspectPort !== undefined) return false
  const { bindings, built } = part
  if (bindings === undefined || bindings.workers.length > 0 || !mayBeBare({ bindings })) return false
  return built?.program !== undefined && runsBare(built.program)
}

function runsBare(program: Program): boolean {
  return program.format === 'modules' && !usesCache(program) && !mentions(program, EMAIL)
}

/** Whether the program may keep answers in Cloudflare's cache. */
export function usesCache(program: Program): boolean {
  return mentions(program, CACHE)
}

function mentions({ code, modules }: Program, pattern: RegExp): boolean {
  const scripts = modules.filter(({ type }) => type === 'ESModule' || type === 'CommonJS')
  return pattern.test(code) || scripts.some(({ contents }) => pattern.test(Buffer.from(contents).toString()))
}

/** The same as far as it is known before there is a program. */
export function mayBeBare({ bindings }: Pick<Settings, 'bindings'>): boolean {
  const { bindings: _values, ...others } = bindings.options satisfies MiniflareBindings
  return Object.values(others).every(isEmpty) && bindings.unavailable.length === 0
}

function isEmpty(value: unknown): boolean {
  return (
    value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
  )
}
