import { RefusedRequest } from './refusal.ts'
import type { OperationId } from './schemas/operations.ts'
import type { Operation } from './schemas/operation.ts'

/** An operation that a request names, with the parts of its path, decoded. */
interface Matched {
  readonly id: OperationId
  readonly parameters: Readonly<Record<string, string>>
}

interface Place {
  readonly segments: readonly string[]
  readonly byMethod: Map<string, OperationId>
}

/** Finds the operation of a method and a path. A literal segment wins over a parameter. */
export interface Router {
  /** @throws RefusedRequest 404 for an unknown path, 405 for a method it has not, 400 for one that cannot be decoded. */
  match(method: string, path: string): Matched
}

export function openRouter(operations: Readonly<Record<string, Operation>>): Router {
  const byCount = new Map<number, Place[]>()
  for (const [id, operation] of Object.entries(operations)) addTo(byCount, id as OperationId, operation)
  return {
    match(method, path) {
      const segments = path.split('/').slice(1)
      const place = byCount.get(segments.length)?.find((candidate) => fits(candidate, segments))
      if (place === undefined) throw unknownPath()
      const id = place.byMethod.get(method)
      if (id === undefined) throw wrongMethod(method, [...place.byMethod.keys()])
      return { id, parameters: parametersOf(place, segments) }
    },
  }
}

function addTo(byCount: Map<number, Place[]>, id: OperationId, { method, path }: Operation): void {
  const segments = path.split('/').slice(1)
  const places = byCount.get(segments.length) ?? []
  byCount.set(segments.length, places)
  const known = places.find((place) => place.segments.join('/') === segments.join('/'))
  if (known === undefined) places.push({ segments, byMethod: new Map([[method, id]]) })
  else known.byMethod.set(method, id)
  places.sort((one, other) => parameterCount(one) - parameterCount(other))
}

function parameterCount(place: Place): number {
  return place.segments.filter(isParameter).length
}

function isParameter(segment: string): boolean {
  return segment.startsWith('{')
}

function fits(place: Place, segments: readonly string[]): boolean {
  return place.segments.every((segment, index) =>
    isParameter(segment) ? segments[index] !== '' : segment === segments[index],
  )
}

function parametersOf(place: Place, segments: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    place.segments.flatMap((segment, index) =>
      isParameter(segment) ? [[segment.slice(1, -1), decode(segments[index] ?? '')]] : [],
    ),
  )
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new RefusedRequest(400, { error: `${text} is no percent-encoded UTF-8` })
  }
}

function unknownPath(): RefusedRequest {
  return new RefusedRequest(404, {
    error: 'there is nothing at this path',
    code: 'FLEXI_NO_ROUTE',
    hint: 'See /_flexi/api/openapi.json for what there is.',
  })
}

function wrongMethod(method: string, allowed: readonly string[]): RefusedRequest {
  const allow = allowed.join(', ')
  return new RefusedRequest(405, { error: `${method} is not possible here, ${allow} is` }, { Allow: allow })
}
