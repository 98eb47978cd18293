import { asNumber, asText, type Params } from './protocol.ts'
import type { OriginPlace, Scripts } from './scripts.ts'

interface Breakpoint {
  /** As the client set it last. */
  readonly params: Params
  /** What the runtime answered. */
  readonly result: Params
  /** The ids under which the client knows it: several when it set it anew after a reload. */
  readonly names: Set<string>
  /** In the user's own file; undefined outside of it. */
  readonly origin: { readonly url: string; readonly place: OriginPlace } | undefined
}

/**
 * The breakpoints of one client, over the runtimes that come and go. V8 names a breakpoint by its place; in a bundle that was built anew the
 * same line of the author is elsewhere, and so has another name. The client keeps the one that it knows.
 */
export class Breakpoints {
  /** By the id in the runtime of now. */
  #present = new Map<string, Breakpoint>()

  /** The runtime has set it. */
  add(params: Params, result: Params, scripts: Scripts | undefined): void {
    const id = asText(result['breakpointId'])
    if (id !== '')
      this.#present.set(id, { params, result, names: new Set([id]), origin: originOf(params, scripts) })
  }

  /** What the runtime answered to a breakpoint that is there already, because it was brought along: V8 would refuse a second one. */
  find(params: Params): Params | undefined {
    for (const [id, { params: own, result, names }] of this.#present) {
      if (!sameParams(own, params)) continue
      names.add(id)
      return result
    }
    return undefined
  }

  /** The id of the runtime; undefined when other names of the client's still need it. */
  remove(name: string): string | undefined {
    for (const [id, { names }] of this.#present) {
      if (!names.delete(name)) continue
      if (names.size > 0) return undefined
      this.#present.delete(id)
      return id
    }
    return name
  }

  /** What the client calls it. */
  namesOf(id: string): readonly string[] {
    const breakpoint = this.#present.get(id)
    return breakpoint === undefined ? [id] : [...breakpoint.names]
  }

  /** All, at their places in the scripts of another runtime; each is to be set, and then `moved`. */
  move(scripts: Scripts | undefined): readonly { readonly params: Params; moved(result: Params): void }[] {
    const before = [...this.#present.values()]
    this.#present = new Map()
    return before.map((breakpoint) => {
      const params = paramsIn(breakpoint, scripts)
      return {
        params,
        moved: (result) => {
          const id = asText(result['breakpointId'])
          const there = this.#present.get(id)
          const names = new Set([...(there?.names ?? []), ...breakpoint.names])
          this.#present.set(id, { ...breakpoint, params, result, names })
        },
      }
    })
  }
}

function originOf(params: Params, scripts: Scripts | undefined): Breakpoint['origin'] {
  const url = scripts?.matching(matcher(params))
  if (scripts === undefined || url === undefined) return undefined
  const place = scripts.originOf(url, asNumber(params['lineNumber']), asNumber(params['columnNumber']))
  return place === undefined ? undefined : { url, place }
}

function paramsIn({ params, origin }: Breakpoint, scripts: Scripts | undefined): Params {
  const place = origin === undefined ? undefined : scripts?.placeOf(origin.url, origin.place)
  if (place === undefined) return params
  return { ...params, lineNumber: place.line, columnNumber: place.column }
}

function matcher(params: Params): (url: string) => boolean {
  const exact = asText(params['url'])
  const pattern = patternOf(asText(params['urlRegex']))
  return (url) => url === exact || pattern?.test(url) === true
}

function patternOf(source: string): RegExp | undefined {
  if (source === '') return undefined
  try {
    return new RegExp(source)
  } catch {
    return undefined
  }
}

const KEYS = ['url', 'urlRegex', 'scriptHash', 'condition'] as const

function sameParams(one: Params, other: Params): boolean {
  return (
    KEYS.every((key) => asText(one[key]) === asText(other[key])) &&
    one['lineNumber'] === other['lineNumber'] &&
    asNumber(one['columnNumber']) === asNumber(other['columnNumber'])
  )
}
