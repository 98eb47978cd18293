import { wildcard } from '../../../core/expressions.ts'
import { isRecord } from './front-end.ts'

export type PolicyDecision = 'allow' | 'deny' | 'explicit-deny'

/** The action that a request to an API needs. */
const ACTION = 'execute-api:Invoke'

/**
 * What an authorizer's policy says of one method. A Deny wins over every Allow; what no statement names is denied.
 * Undefined for what is no policy. Conditions cannot be judged here: a statement with one never allows, and always denies.
 */
export function judgePolicy(policy: unknown, methodArn: string): PolicyDecision | undefined {
  if (!isRecord(policy)) return undefined
  const statements = listOf(policy['Statement'])
  if (statements === undefined || !statements.every(isStatement)) return undefined
  const named = statements.filter((statement) => names(statement, methodArn))
  if (named.some(({ Effect }) => Effect === 'Deny')) return 'explicit-deny'
  return named.some(({ Effect, Condition }) => Effect === 'Allow' && Condition === undefined)
    ? 'allow'
    : 'deny'
}

interface Statement {
  readonly Effect: 'Allow' | 'Deny'
  readonly Action?: unknown
  readonly NotAction?: unknown
  readonly Resource?: unknown
  readonly NotResource?: unknown
  readonly Condition?: unknown
}

function isStatement(value: unknown): value is Statement {
  if (!isRecord(value) || (value['Effect'] !== 'Allow' && value['Effect'] !== 'Deny')) return false
  return (['Action', 'NotAction', 'Resource', 'NotResource'] as const).every(
    (key) => value[key] === undefined || textsOf(value[key]) !== undefined,
  )
}

function names({ Action, NotAction, Resource, NotResource }: Statement, methodArn: string): boolean {
  const isAction =
    Action === undefined
      ? NotAction !== undefined && !matchesAny(NotAction, ACTION, true)
      : matchesAny(Action, ACTION, true)
  if (!isAction) return false
  return Resource === undefined
    ? NotResource !== undefined && !matchesAny(NotResource, methodArn)
    : matchesAny(Resource, methodArn)
}

function matchesAny(patterns: unknown, text: string, ignoreCase = false): boolean {
  return textsOf(patterns)?.some((pattern) => wildcard(pattern, { ignoreCase }).test(text)) === true
}

function listOf(value: unknown): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value as readonly unknown[]
  return value === undefined || value === null ? undefined : [value]
}

function textsOf(value: unknown): readonly string[] | undefined {
  const list = listOf(value)
  return list?.every((item) => typeof item === 'string') === true ? list : undefined
}
