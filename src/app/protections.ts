import type { Fetcher } from '../core/fetcher.ts'
import type { RouteRule } from '../core/route.ts'
import type { Protection } from '../gateway/protection/protection.ts'

/** What stands before the routes that ask for it. A route whose words stay the same keeps its counts when the configuration is read again. */
export interface Protections {
  /** What answers the rule, behind its protection. */
  protect(rule: RouteRule, fetcher: Fetcher): Promise<Fetcher>
  /** Forgets what the table now in force no longer names. */
  keep(rules: readonly RouteRule[]): void
}

export function openProtections(): Protections {
  const opened = new Map<string, Promise<Protection>>()
  return {
    async protect(rule, fetcher) {
      if (rule.protection === undefined) return fetcher
      const key = protectionKey(rule)
      const protection = opened.get(key) ?? open(rule.protection)
      opened.set(key, protection)
      return (await protection).protect(fetcher)
    },
    keep(rules) {
      const wanted = new Set(rules.map(protectionKey))
      for (const key of opened.keys()) if (!wanted.has(key)) opened.delete(key)
    },
  }
}

async function open(settings: NonNullable<RouteRule['protection']>): Promise<Protection> {
  const { openProtection } = await import('../gateway/protection/protection.ts')
  return openProtection(settings)
}

/** Two routes with the same limit do not share it. */
function protectionKey({ pattern, protection }: RouteRule): string {
  return JSON.stringify([pattern, protection])
}
