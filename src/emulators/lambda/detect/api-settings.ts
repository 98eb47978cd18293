import type { ApiKey, CorsOptions } from '../front-ends/route-options.ts'
import { asText, type Value, type ValueMap } from './value.ts'

/** How the tools call the parts of a CORS block, in lower case and without underscores. */
const CORS_NAMES = {
  allowOrigins: ['alloworigins', 'alloworigin', 'allowedorigins', 'origins', 'origin'],
  allowMethods: ['allowmethods', 'allowedmethods', 'methods'],
  allowHeaders: ['allowheaders', 'allowedheaders', 'headers'],
  exposeHeaders: ['exposeheaders', 'exposedresponseheaders'],
} as const

/** A CORS block: `true` is what the tool makes of it, a text the one origin allowed. */
export function corsOf(value: Value | undefined, byTrue: CorsOptions): CorsOptions | undefined {
  if (value === undefined || value === null || value === false) return undefined
  if (value === true || value === 'true') return byTrue
  return typeof value !== 'object' || Array.isArray(value)
    ? { ...byTrue, allowOrigins: parts(value) }
    : corsBlock(mapOf(value), byTrue)
}

function corsBlock(block: ValueMap, byTrue: CorsOptions): CorsOptions {
  const settings = new Map(
    Object.entries(block).map(([name, one]) => [name.toLowerCase().replaceAll('_', ''), one]),
  )
  const list = (names: readonly string[]): string[] | undefined =>
    names.map((name) => parts(settings.get(name))).find((found) => found !== undefined)
  const unquoted = (name: string): string => asText(settings.get(name)).replaceAll("'", '')
  return {
    allowOrigins: list(CORS_NAMES.allowOrigins) ?? byTrue.allowOrigins,
    allowMethods: list(CORS_NAMES.allowMethods) ?? byTrue.allowMethods,
    allowHeaders: list(CORS_NAMES.allowHeaders) ?? byTrue.allowHeaders,
    exposeHeaders: list(CORS_NAMES.exposeHeaders),
    maxAge: numberOrNone(unquoted('maxage')),
    allowCredentials: unquoted('allowcredentials') === 'true',
  }
}

/** `["GET", "PUT"]`, and `'GET,PUT'` with its quotes, as a REST API's template has it. */
function parts(value: Value | undefined): string[] | undefined {
  if (value === undefined || value === null) return undefined
  const texts = Array.isArray(value) ? value.map((one) => asText(one as Value)) : asText(value).split(',')
  return texts.map((text) => text.trim().replace(/^'|'$/g, '')).filter((text) => text !== '')
}

/** Stands for a key whose value only the cloud knows. */
export const LOCAL_API_KEY = 'flexi-local-api-key'

/** Keys with the values that a file gives them; one without a value has ours. */
export function apiKeysOf(
  keys: readonly { readonly id: string; readonly value: string | undefined }[],
): ApiKey[] {
  return keys.map(({ id, value }) => ({ id, value: value ?? LOCAL_API_KEY }))
}

export function mapOf(value: Value | undefined): ValueMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as ValueMap) : {}
}

export function textOrNone(value: Value | undefined): string | undefined {
  return value === undefined || value === null || typeof value === 'object' ? undefined : String(value)
}

export function listOrNone(value: Value | undefined): string[] | undefined {
  if (value === undefined || value === null) return undefined
  return Array.isArray(value) ? value.map((one) => asText(one as Value)) : [asText(value)]
}

export function numberOrNone(value: Value | undefined): number | undefined {
  const text = textOrNone(value)
  return text === undefined || text === '' || Number.isNaN(Number(text)) ? undefined : Number(text)
}

/** `arn:aws:lambda:REGION:ACCOUNT:function:NAME`, alone or inside of the address that API Gateway integrates it by. */
export function functionOfArn(text: string | undefined): string | undefined {
  return /:function:([A-Za-z0-9_-]+)/.exec(text ?? '')?.[1]
}
