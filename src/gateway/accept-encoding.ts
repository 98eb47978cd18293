/**
 * The encoding to answer with, of those offered: the one the client wants most, the first of equals. Undefined is none: the client
 * named none, or wants the content plain at least as much as it wants all of these less.
 * Source: RFC 9110 section 12.5.3.
 */
export function preferredEncoding<Name extends string>(
  acceptEncoding: string | undefined,
  offered: readonly Name[],
): Name | undefined {
  if (acceptEncoding === undefined) return undefined
  const weights = parseWeights(acceptEncoding)
  const weightOf = (name: string): number => weights.get(name) ?? weights.get('*') ?? 0
  const [first, ...others] = offered
  if (first === undefined) return undefined
  const best = others.reduce((known, name) => (weightOf(name) > weightOf(known) ? name : known), first)
  const isWanted = weightOf(best) > 0 && weightOf(best) >= (weights.get('identity') ?? 0)
  return isWanted ? best : undefined
}

/** `gzip;q=0.5, br` → gzip 0.5, br 1; what is no weight is 0, so that nothing unreadable is sent. */
function parseWeights(acceptEncoding: string): ReadonlyMap<string, number> {
  const weights = new Map<string, number>()
  for (const part of acceptEncoding.split(',')) {
    const [coding = '', ...parameters] = part.split(';')
    const name = coding.trim().toLowerCase()
    const weight = parameters.map((parameter) => /^\s*q\s*=\s*(.*?)\s*$/i.exec(parameter)?.[1]).find(Boolean)
    const number = weight === undefined ? 1 : Number(weight)
    weights.set(name === 'x-gzip' ? 'gzip' : name, number >= 0 && number <= 1 ? number : 0)
  }
  return weights
}
