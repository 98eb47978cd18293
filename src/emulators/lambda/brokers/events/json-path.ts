/** `$.detail.orders[0]['item id']` as the steps to it; undefined for what is no such path. */
export function parsePath(path: string): readonly (string | number)[] | undefined {
  if (!path.startsWith('$')) return undefined
  const steps: (string | number)[] = []
  let rest = path.slice(1)
  while (rest !== '') {
    const step = STEP.exec(rest)
    if (step === null) return undefined
    const [all, name, index, quoted] = step
    steps.push(index === undefined ? (name ?? quoted ?? '') : Number(index))
    rest = rest.slice(all.length)
  }
  return steps
}

const STEP = /^(?:\.([^.[\]'"]+)|\[(\d+)\]|\[['"]([^'"]+)['"]\])/

/** Undefined where there is nothing. */
export function valueAt(value: unknown, steps: readonly (string | number)[]): unknown {
  let at = value
  for (const step of steps) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined
    at = (at as Readonly<Record<string | number, unknown>>)[step]
  }
  return at
}
