import { resolve, sep } from 'node:path'

import { FlexiError } from '../../core/errors.ts'
import type { FixedAnswer } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import type { RouteRule, RouteTarget } from '../../core/route.ts'

/** A project's routes as they were deployed: data that nobody has looked at, and what it may lead to. */
export interface ShippedTable {
  readonly rules: readonly RouteRule[]
  readonly noRoute: FixedAnswer | undefined
}

/**
 * Validates routes that were sent as data. Folders stay relative until `placeFolders`.
 * @throws FlexiError FLEXI_CONFIG that says which rule is wrong, and how.
 */
export async function parseRoutes(options: Readonly<Record<string, unknown>>): Promise<ShippedTable> {
  const { shippedRoutesSchema } = await import('./routes-schema.ts')
  const parsed = shippedRoutesSchema.safeParse(options)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const at = issue?.path.join('.') ?? ''
    throw new FlexiError('FLEXI_CONFIG', `the routes cannot be read: ${at}: ${issue?.message ?? 'unknown'}`, {
      hint: 'Deploy with the "flexi" that the daemon runs.',
    })
  }
  return { rules: parsed.data.rules, noRoute: parsed.data.noRoute }
}

/** The functions that routes lead to, by name. */
export function routedFunctions({ rules }: ShippedTable): ReadonlySet<string> {
  return new Set(rules.flatMap(({ target }) => (target.kind === 'function' ? [target.name] : [])))
}

export function forwards({ rules }: ShippedTable): boolean {
  return rules.some(({ target }) => target.kind === 'upstream')
}

/** Whether the daemon has to ask somebody for the keys of tokens. */
export function asksIssuers({ rules }: ShippedTable): boolean {
  return rules.some(({ options }) => {
    const authorizer = fieldOf(options, 'authorizer')
    return fieldOf(authorizer, 'kind') === 'jwt'
  })
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined
}

/** The rules with their folders where the artifact lies. @throws FlexiError FLEXI_CONFIG for one outside of it. */
export function placeFolders({ rules }: ShippedTable, directory: AbsolutePath): readonly RouteRule[] {
  return rules.map((rule) =>
    rule.target.kind === 'static' ? { ...rule, target: placed(rule.target, directory) } : rule,
  )
}

function placed(target: Extract<RouteTarget, { kind: 'static' }>, directory: AbsolutePath): RouteTarget {
  const folder = resolve(directory, target.directory) as AbsolutePath
  if (folder !== directory && !folder.startsWith(directory + sep))
    throw new FlexiError('FLEXI_CONFIG', `the folder ${target.directory} is not part of what was deployed`)
  return { ...target, directory: folder }
}
