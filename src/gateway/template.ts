import type { RouteMatcher, TemplateSegment } from '../core/route.ts'

export interface TemplateMatch {
  /** The lowest wins. Text, because ranks of paths compare segment by segment. */
  readonly rank: string
  readonly parameters: Readonly<Record<string, string>>
}

type TemplateMatcher = Extract<RouteMatcher, { kind: 'template' }>

/** `undefined` when the method or the path differs. Segments come undecoded. */
export function matchTemplate(
  matcher: TemplateMatcher,
  method: string,
  segments: readonly string[],
): TemplateMatch | undefined {
  if (matcher.method !== undefined && matcher.method !== method) return undefined
  const byMethod = matcher.method === undefined ? '1' : '0'
  if (matcher.segments === undefined) return { rank: `2${byMethod}`, parameters: {} }
  const parameters = matchSegments(matcher.segments, segments)
  if (parameters === undefined) return undefined
  const kinds = matcher.segments.map((segment) => RANK[segment.kind]).join('')
  // A greedy path loses against every full one, however literal it begins.
  return { rank: `${kinds.endsWith(RANK.greedy) ? '1' : '0'}${kinds}${byMethod}`, parameters }
}

/** Above the digits of the method, so that a longer literal path still beats a shorter greedy one. */
const RANK = { literal: 'a', parameter: 'b', greedy: 'c' } as const satisfies Record<
  TemplateSegment['kind'],
  string
>

function matchSegments(
  template: readonly TemplateSegment[],
  segments: readonly string[],
): Record<string, string> | undefined {
  const parameters: Record<string, string> = {}
  for (const [i, part] of template.entries()) {
    const segment = segments[i]
    if (segment === undefined || segment === '') return undefined
    if (part.kind === 'greedy') {
      parameters[part.name] = segments.slice(i).join('/')
      return parameters
    }
    if (part.kind === 'parameter') parameters[part.name] = segment
    else if (part.text !== segment && part.text !== decoded(segment)) return undefined
  }
  return template.length === segments.length ? parameters : undefined
}

/** `caf%C3%A9` is the literal `café`. */
function decoded(segment: string): string {
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment)
  } catch {
    // Not UTF-8: no literal of a configuration file can mean it.
    return segment
  }
}
