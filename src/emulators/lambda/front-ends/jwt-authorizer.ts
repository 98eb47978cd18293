import type { createRemoteJWKSet } from 'jose'

import { errorMessage } from '../../../core/errors.ts'
import type { GuardHost } from '../../../core/function.ts'
import type { Authorizer, Verdict } from './authorizer.ts'
import { isRecord } from './front-end.ts'
import { identityOf, parseIdentitySource } from './identity.ts'
import type { JwtAuthorizerOptions } from './route-options.ts'

type KeySet = ReturnType<typeof createRemoteJWKSet>
type Claims = Readonly<Record<string, unknown>>

/** For the issuer's document and its keys. */
const FETCH_MS = 5_000
/** Issuers on a developer's machine make new keys whenever they start: an unknown one is looked for soon. */
const REFRESH_MS = 1_000

/**
 * Signed tokens: signature, issuer, audience, time and scopes are checked; keys come from the issuer, and are fetched again for one
 * that is not among them. Source: API Gateway guide, JWT authorizers.
 */
export function jwtAuthorizer(options: JwtAuthorizerOptions, { log }: GuardHost): Authorizer {
  const source = parseIdentitySource(options.identitySource ?? '$request.header.Authorization')
  let keys: Promise<KeySet> | undefined
  const keySet = async (): Promise<KeySet> => {
    keys ??= openKeys(options)
    try {
      return await keys
    } catch (error) {
      keys = undefined
      throw error
    }
  }
  return {
    async judge(request, route) {
      const token = identityOf(source, request, route)?.replace(/^bearer\s+/i, '')
      if (token === undefined) return refused('unauthorized', 'Bearer')
      try {
        return judgeClaims(await verify(token, await keySet(), options), options)
      } catch (error) {
        if (isTokenFault(error)) return invalid(errorMessage(error))
        log.warn('authorizer.fail', {
          message: `tokens of ${options.issuer} cannot be checked: ${reasonOf(error)}`,
        })
        return { kind: 'refused', why: 'broken' }
      }
    },
  }
}

async function openKeys({ issuer, jwksUrl }: JwtAuthorizerOptions): Promise<KeySet> {
  const jose = await import('jose')
  return jose.createRemoteJWKSet(new URL(jwksUrl ?? (await discover(issuer))), {
    timeoutDuration: FETCH_MS,
    cooldownDuration: REFRESH_MS,
  })
}

async function discover(issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_MS) })
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  const document: unknown = await response.json()
  const found = isRecord(document) ? document['jwks_uri'] : undefined
  if (typeof found !== 'string') throw new Error(`${url} names no jwks_uri`)
  return found
}

async function verify(token: string, keys: KeySet, { issuer }: JwtAuthorizerOptions): Promise<Claims> {
  const { jwtVerify } = await import('jose')
  return (await jwtVerify(token, keys, { issuer })).payload
}

/** fetch says only in its cause what happened. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return cause === undefined ? errorMessage(error) : `${errorMessage(error)}: ${errorMessage(cause)}`
}

/** jose's own errors are the token's fault, but for those of fetching keys. */
function isTokenFault(error: unknown): boolean {
  const code = isRecord(error) ? error['code'] : undefined
  return (
    typeof code === 'string' &&
    /^ERR_(JWT|JWS|JOSE|JWKS_(NO|MULTIPLE)_MATCHING)/.test(code) &&
    code !== 'ERR_JOSE_GENERIC'
  )
}

function judgeClaims(claims: Claims, { audience, scopes }: JwtAuthorizerOptions): Verdict {
  const audiences = [claims['aud'] ?? claims['client_id']].flat()
  if (!audiences.some((one) => typeof one === 'string' && audience.includes(one)))
    return invalid('the token has another audience')
  if (scopes === undefined || scopes.length === 0) return allowed(claims, undefined)
  const granted = scopesOf(claims['scope'] ?? claims['scp'])
  if (scopes.some((scope) => granted.includes(scope))) return allowed(claims, granted)
  return refused('denied', `Bearer scope="${scopes.join(' ')}" error="insufficient_scope"`)
}

function scopesOf(claim: unknown): readonly string[] {
  if (Array.isArray(claim)) return claim.map(String)
  return typeof claim === 'string' ? claim.split(' ').filter((scope) => scope !== '') : []
}

function allowed(claims: Claims, scopes: readonly string[] | undefined): Verdict {
  const texts = Object.entries(claims).map(([name, value]) => [name, claimText(value)] as const)
  return { kind: 'allowed', authorized: { kind: 'jwt', claims: Object.fromEntries(texts), scopes } }
}

/** Every claim is a text in the event; a list is one in brackets. */
function claimText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(String).join(' ')}]`
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

function invalid(description: string): Verdict {
  const text = description.replaceAll('"', "'")
  return refused('unauthorized', `Bearer error="invalid_token" error_description="${text}"`)
}

function refused(why: 'unauthorized' | 'denied', challenge: string): Verdict {
  return { kind: 'refused', why, fields: ['www-authenticate', challenge] }
}
