import type { IncomingMessage } from 'node:http'

/**
 * What a request offers to change to: `Upgrade: h2c, websocket, foo/2` → [websocket, foo/2]. HTTP in any version is left out:
 * it would carry later requests past every route and check.
 */
export function offeredProtocols(upgrade: string | undefined): readonly string[] {
  if (upgrade === undefined) return []
  return upgrade
    .split(',')
    .map((name) => name.trim())
    .filter((name) => PROTOCOL.test(name) && !HTTP.test(name))
}

/** RFC 9110 section 7.8: a name, and a version behind a slash. */
const PROTOCOL = /^[!#$%&'*+.^_`|~\w-]+(?:\/[!#$%&'*+.^_`|~\w-]+)?$/
const HTTP = /^(?:h2c?|h3|https?|http\/.*|tls\/.*)$/i

/** True when a 101 names what was offered: nobody may be switched to what they did not ask for. */
export function isOffered({ headers }: IncomingMessage, offered: readonly string[]): boolean {
  const names = (headers.upgrade ?? '').toLowerCase().split(',')
  return names.every((name) => offered.some((one) => one.toLowerCase() === name.trim()))
}
