import { randomUUID } from 'node:crypto'

import { errorMessage } from '../../../core/errors.ts'
import { bounded, type Pattern } from '../../../core/expressions.ts'
import type { GuardHost } from '../../../core/function.ts'
import type { Authorizer, Verdict } from './authorizer.ts'
import { methodArn, requestEvent, tokenEvent } from './authorizer-event.ts'
import { decisionOf, type Decision } from './authorizer-decision.ts'
import type { FrontEndRequest } from './front-end.ts'
import { identityOf, parseIdentitySource } from './identity.ts'
import { judgePolicy } from './policy.ts'
import { Remembered } from './remembered.ts'
import type { RequestAuthorizerOptions, RouteOptions, TokenAuthorizerOptions } from './route-options.ts'

type Options = TokenAuthorizerOptions | RequestAuthorizerOptions

/** API Gateway's own limit for an answer. */
const WAIT_MS = 29_000
const DEFAULT_TTL_SECONDS = 300

/** A function of the project that says whether a request may reach another one. Source: API Gateway guides, Lambda authorizers. */
export function lambdaAuthorizer(
  options: Options,
  host: GuardHost,
  defaults: { readonly remembers: boolean },
): Authorizer {
  const sources = sourcesOf(options).map(parseIdentitySource)
  const validation = options.kind === 'token' ? expression(options, host) : undefined
  const ttlSeconds = options.ttlSeconds ?? (defaults.remembers ? DEFAULT_TTL_SECONDS : 0)
  const remembered = new Remembered<Decision>(
    sources.length === 0 ? 0 : ttlSeconds * 1000,
    ({ kind }) => kind === 'policy' || kind === 'simple',
  )
  return {
    async judge(request, route) {
      const identity = sources.map((source) => identityOf(source, request, route))
      if (!identity.every((value) => value !== undefined)) return { kind: 'refused', why: 'unauthorized' }
      if (validation !== undefined && !validation.test(identity[0] ?? ''))
        return { kind: 'refused', why: 'unauthorized' }
      const ask = async (): Promise<Decision> =>
        await decide({ options, route, host }, eventOf(options, { request, route, identity }))
      const decision = await remembered.get(JSON.stringify(identity), ask)
      const verdict = verdictOf(decision, methodArn(request, route))
      if (decision.kind === 'broken' || verdict === undefined)
        warn(host, options.function, decision.kind === 'broken' ? decision.message : 'its policy is none')
      return verdict ?? { kind: 'refused', why: 'broken' }
    },
  }
}

/** Expressions are written for Java: one that cannot be read here is not checked, and said so. */
function expression(
  { function: name, validation }: TokenAuthorizerOptions,
  { log }: GuardHost,
): Pattern | undefined {
  if (validation === undefined) return undefined
  try {
    return bounded(new RegExp(`^(?:${validation})$`))
  } catch (error) {
    log.warn('authorizer.expression', {
      message: `tokens for the authorizer ${name} are not checked first: ${errorMessage(error)}`,
    })
    return undefined
  }
}

function sourcesOf(options: Options): readonly string[] {
  return options.kind === 'token'
    ? [options.identitySource ?? 'Authorization']
    : (options.identitySources ?? [])
}

function warn({ log }: GuardHost, name: string, message: string): void {
  log.warn('authorizer.fail', { message: `the authorizer ${name} lets nobody through: ${message}` })
}

interface Asking {
  readonly request: FrontEndRequest
  readonly route: RouteOptions
  readonly identity: readonly string[]
}

function eventOf(options: Options, { request, route, identity }: Asking): object {
  if (options.kind === 'token') return tokenEvent(request, route, identity[0] ?? '')
  return requestEvent(request, route, { format: options.payloadFormat ?? '2.0', identity })
}

interface Asked {
  readonly options: Options
  readonly route: RouteOptions
  readonly host: GuardHost
}

async function decide({ options, route, host }: Asked, event: object): Promise<Decision> {
  const from = performance.now()
  try {
    const result = await host.invoke(options.function, Buffer.from(JSON.stringify(event)), {
      id: randomUUID(),
      deadline: Date.now() + WAIT_MS,
      signal: AbortSignal.timeout(WAIT_MS),
    })
    const tookMs = Math.round(performance.now() - from)
    return decisionOf(result, {
      isSimple: isSimple(options, route),
      isRest: route.frontEnd === 'rest-api',
      tookMs,
    })
  } catch (error) {
    return { kind: 'broken', message: errorMessage(error) }
  }
}

function isSimple(options: Options, { frontEnd }: RouteOptions): boolean {
  return options.kind === 'request' && options.simpleResponses === true && frontEnd !== 'rest-api'
}

/** Undefined for a policy that is none. */
export function verdictOf(decision: Decision, arn: string): Verdict | undefined {
  switch (decision.kind) {
    case 'unauthorized':
      return { kind: 'refused', why: 'unauthorized' }
    case 'broken':
      return { kind: 'refused', why: 'broken' }
    case 'simple':
      return decision.isAuthorized
        ? { kind: 'allowed', authorized: { kind: 'lambda', ...decision.answer } }
        : { kind: 'refused', why: 'denied' }
    case 'policy':
      switch (judgePolicy(decision.policy, arn)) {
        case 'allow':
          return { kind: 'allowed', authorized: { kind: 'lambda', ...decision.answer } }
        case 'deny':
          return { kind: 'refused', why: 'denied' }
        case 'explicit-deny':
          return { kind: 'refused', why: 'explicitly-denied' }
        case undefined:
          return undefined
      }
  }
}
