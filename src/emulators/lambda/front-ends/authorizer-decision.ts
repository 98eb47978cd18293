import type { InvokeResult } from '../../../core/function.ts'
import { isRecord } from './front-end.ts'

/** What came of asking the function; `policy` still has to be held against the method. */
export type Decision =
  | { readonly kind: 'policy'; readonly policy: unknown; readonly answer: Answer }
  | { readonly kind: 'simple'; readonly isAuthorized: boolean; readonly answer: Answer }
  | { readonly kind: 'unauthorized' }
  | { readonly kind: 'broken'; readonly message: string }

interface Answer {
  readonly principalId: string | undefined
  readonly context: Readonly<Record<string, unknown>>
  readonly tookMs: number
}

/** Which form an answer must have. */
export interface DecisionRules {
  /** `{ isAuthorized, context }` in place of a policy. */
  readonly isSimple: boolean
  /** REST APIs take flat contexts only. */
  readonly isRest: boolean
  readonly tookMs: number
}

export function decisionOf(result: InvokeResult, rules: DecisionRules): Decision {
  const value = parsed(result.payload)
  if (result.functionError !== undefined) return failureOf(value)
  const preview = Buffer.from(result.payload).toString('utf8', 0, 200)
  if (!isRecord(value)) return broken(`it answered ${preview}`)
  const { context = {} } = value
  if (!isRecord(context) || (rules.isRest && !Object.values(context).every(isFlat)))
    return broken('its context is no map of texts, numbers and booleans')
  const decision = rules.isSimple ? simpleOf(value, context, rules) : policyOf(value, context, rules)
  if (decision !== undefined) return decision
  return broken(
    rules.isSimple
      ? `simple responses have isAuthorized; it answered ${preview}`
      : `it answered no principalId or no policyDocument: ${preview}`,
  )
}

/** The one message that means something. */
function failureOf(error: unknown): Decision {
  const message = isRecord(error) ? error['errorMessage'] : undefined
  return message === 'Unauthorized' ? { kind: 'unauthorized' } : broken(`it failed: ${String(message)}`)
}

type Fields = Readonly<Record<string, unknown>>

function simpleOf(
  { isAuthorized }: Fields,
  context: Fields,
  { tookMs }: DecisionRules,
): Decision | undefined {
  return typeof isAuthorized === 'boolean'
    ? { kind: 'simple', isAuthorized, answer: { principalId: undefined, context, tookMs } }
    : undefined
}

function policyOf(
  { principalId, policyDocument: policy }: Fields,
  context: Fields,
  { tookMs }: DecisionRules,
): Decision | undefined {
  return policy !== undefined && typeof principalId === 'string'
    ? { kind: 'policy', policy, answer: { principalId, context, tookMs } }
    : undefined
}

function broken(message: string): Decision {
  return { kind: 'broken', message }
}

function isFlat(value: unknown): boolean {
  return value === null || typeof value !== 'object'
}

function parsed(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString())
  } catch {
    return undefined
  }
}
