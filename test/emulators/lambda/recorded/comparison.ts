/** Where an answer is another than the recorded one; `path` is `invoke_result.Payload.errorType`. */
export interface Difference {
  readonly path: string
  readonly recorded: unknown
  readonly actual: unknown
}

/** Words that stand for any value, where a recording has them as the whole of a text. */
const ANYTHING = new Set(['date', 'datetime', 'timestamp', 'code-sha256', 'log-result', 'function-url'])

/** What is the same in all recordings. */
const CONSTANTS: Readonly<Record<string, string>> = {
  '<region>': 'us-east-1',
  '<partition>': 'aws',
  '111111111111': '123456789012',
}

/** `<uuid:1>`: one value throughout a recording, and another one than `<uuid:2>`. `<duration>`: any value each time. */
const PLACEHOLDER = /<([^<>]+)>/g

/** Compares answers with one recording, whose placeholders stand for values of this run. */
export class Comparison {
  readonly #values = new Map<string, string>()
  readonly #differences: Difference[] = []

  differences(recorded: unknown, actual: unknown): readonly Difference[] {
    this.#compare(recorded, actual, '')
    for (const [name, value] of this.#values)
      for (const [other, same] of this.#values)
        if (name < other && kindOf(name) === kindOf(other) && value === same)
          this.#differences.push({ path: `${name} and ${other}`, recorded: 'two values', actual: value })
    return this.#differences
  }

  #compare(recorded: unknown, actual: unknown, path: string): void {
    if (Array.isArray(recorded) && Array.isArray(actual))
      return this.#compareEntries(Object.entries(recorded), Object.entries(actual), path)
    if (isRecord(recorded) && isRecord(actual))
      return this.#compareEntries(Object.entries(recorded), Object.entries(actual), path)
    // One recording has that name for a revision too.
    const isAny = recorded === '<request-id>' && path.endsWith('RevisionId')
    if (!isAny && !this.#isSame(recorded, actual)) this.#differences.push({ path, recorded, actual })
  }

  #compareEntries(recorded: Entries, actual: Entries, path: string): void {
    const [left, right] = [new Map(recorded), new Map(actual)]
    for (const name of new Set([...left.keys(), ...right.keys()]))
      this.#compare(left.get(name), right.get(name), path === '' ? name : `${path}.${name}`)
  }

  #isSame(recorded: unknown, actual: unknown): boolean {
    if (typeof recorded !== 'string') return Object.is(recorded, actual)
    if (actual === undefined || actual === null) return false
    if (ANYTHING.has(recorded)) return actual !== ''
    if (typeof actual !== 'string' && !recorded.startsWith('<')) return false
    const text = typeof actual === 'string' ? actual : JSON.stringify(actual)
    return this.#matches(recorded, text)
  }

  #matches(recorded: string, actual: string): boolean {
    const names: string[] = []
    const known = Object.entries(CONSTANTS).reduce((text, [from, to]) => text.replaceAll(from, to), recorded)
    const pattern = known
      .split(PLACEHOLDER)
      .map((part, index) => {
        if (index % 2 === 0) return part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
        names.push(part)
        return '(.+?)'
      })
      .join('')
    const match = new RegExp(`^${pattern}$`, 's').exec(actual)
    return match !== null && names.every((name, index) => this.#holds(name, match[index + 1] ?? ''))
  }

  #holds(name: string, value: string): boolean {
    if (!name.includes(':') && name !== 'request-id') return true
    const known = this.#values.get(name)
    if (known === undefined) this.#values.set(name, value)
    return known === undefined || known === value
  }
}

type Entries = readonly (readonly [string, unknown])[]

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `uuid` of `uuid:3`. */
function kindOf(placeholder: string): string {
  return placeholder.split(':')[0] ?? placeholder
}

/** `*.RuntimeVersionConfig` names such a path at any depth: `*` stands for anything. */
export function pathMatches(pattern: string, path: string): boolean {
  const source = pattern.split('*').map((part) => part.replaceAll(/[.$+?()[\]\\]/g, String.raw`\$&`))
  return new RegExp(`^${source.join('.*')}$`).test(path)
}
