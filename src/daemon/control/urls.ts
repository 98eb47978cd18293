import type { FunctionKey } from '../model.ts'
import { LIVE, type Parts } from './parts.ts'

/** Where people ask for it: the alias first, its own domains, then the version. */
export function urlsOf(
  parts: Pick<Parts, 'url' | 'domain' | 'switchboard'>,
  { name, version }: FunctionKey,
  alias: string,
): readonly string[] {
  const own = alias === LIVE ? parts.switchboard.domains.of(name) : []
  return [
    aliasUrl(parts, name, alias),
    ...own.map((domain) => urlAt(parts.url(), domain)),
    urlAt(parts.url(), `${version}.${name}.${parts.domain}`),
  ]
}

export function aliasUrl(
  { url, domain }: Pick<Parts, 'url' | 'domain'>,
  name: string,
  alias: string,
): string {
  return urlAt(url(), alias === LIVE ? `${name}.${domain}` : `${alias}.${name}.${domain}`)
}

function urlAt(url: string, host: string): string {
  const { protocol, port } = new URL(url)
  return `${protocol}//${host}${port === '' ? '' : `:${port}`}/`
}
