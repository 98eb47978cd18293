/** A node of a form whose names have dots: `Attributes.entry.1.key=…`. */
export interface FormNode {
  readonly [name: string]: FormNode | string
}

/**
 * `MessageAttributes.entry.1.Name=kind` → `{ MessageAttributes: { entry: { 1: { Name: 'kind' } } } }`.
 * A name that is a value and a node at once keeps what came first.
 */
export function parseForm(text: string): FormNode {
  const root = node()
  for (const [name, value] of new URLSearchParams(text)) put(root, name.split('.'), value)
  return root
}

function put(root: Writable, path: readonly string[], value: string): void {
  let at = root
  for (const name of path.slice(0, -1)) {
    const next = (at[name] ??= node())
    if (typeof next === 'string') return
    at = next
  }
  at[path.at(-1) ?? ''] ??= value
}

interface Writable {
  [name: string]: Writable | string
}

/** Names come from outside: `__proto__` is one as any other. */
function node(): Writable {
  return Object.create(null) as Writable
}

/** The items of a list: `Tags.member.1`, `Attributes.entry.1`, `Attribute.1`. */
export function itemsOf(form: FormNode, name: string): readonly (FormNode | string)[] {
  const list = form[name]
  if (list === undefined || typeof list === 'string') return []
  const { member, entry } = list
  const items = member ?? entry ?? list
  if (typeof items === 'string') return []
  return Object.entries(items)
    .filter(([index]) => /^\d+$/.test(index))
    .toSorted(([left], [right]) => Number(left) - Number(right))
    .map(([, item]) => item)
}

export function nodesOf(form: FormNode, name: string): readonly FormNode[] {
  return itemsOf(form, name).filter((item) => typeof item !== 'string')
}

export function textOf(form: FormNode, name: string): string | undefined {
  const value = form[name]
  return typeof value === 'string' ? value : undefined
}

/** `Attributes.entry.1.key` and `.value`; other services write `Name` and `Value`, tags `Key`. */
export function mapOf(form: FormNode, name: string): Record<string, string> {
  const pairs = nodesOf(form, name).map((item) => [
    textOf(item, 'key') ?? textOf(item, 'Name') ?? textOf(item, 'Key') ?? '',
    textOf(item, 'value') ?? textOf(item, 'Value') ?? '',
  ])
  return Object.fromEntries(pairs) as Record<string, string>
}
