import type * as yamlLibrary from 'yaml'
import type { Alias, Document, LineCounter, Node, Pair } from 'yaml'

import type { AbsolutePath, Fault, Place } from '../../../core/place.ts'

/** A node of a YAML or JSON file that knows where it stands. */
export interface YamlNode {
  readonly kind: 'map' | 'list' | 'scalar' | 'null'
  /** `!Sub`; undefined for YAML's own. */
  readonly tag: string | undefined
  /** Of a scalar. */
  readonly value: string | number | boolean | undefined
  readonly place: Place
  /** The whole source line. */
  readonly line: string
  get(name: string): YamlNode | undefined
  /** A path of names: `at('Properties', 'Handler')`. */
  at(...names: readonly string[]): YamlNode | undefined
  entries(): readonly (readonly [name: string, node: YamlNode])[]
  items(): readonly YamlNode[]
}

export interface YamlFile {
  readonly root: YamlNode | undefined
  /** Every mistake in the file's writing. */
  readonly faults: readonly Fault[]
}

/** Reads YAML, and JSON as a kind of it. Tags of others (`!Ref`) are kept on their nodes. */
export async function parseYaml(file: AbsolutePath, text: string): Promise<YamlFile> {
  const yaml = await import('yaml')
  const counter = new yaml.LineCounter()
  const document = yaml.parseDocument(text, {
    lineCounter: counter,
    merge: true,
    prettyErrors: false,
    logLevel: 'silent',
  })
  const source: Source = { file, lines: text.split(/\r?\n/), counter, document, yaml }
  const faults = document.errors.map((error) => {
    const [message = error.message] = error.message.split('\n')
    return { ...located(source, error.pos[0]), message }
  })
  const root = document.contents === null || faults.length > 0 ? undefined : wrap(document.contents, source)
  return { root, faults }
}

interface Source {
  readonly file: AbsolutePath
  readonly lines: readonly string[]
  readonly counter: LineCounter
  readonly document: Document
  readonly yaml: typeof yamlLibrary
}

function located({ file, lines, counter }: Source, offset: number): { place: Place; text: string } {
  const { line, col } = counter.linePos(offset)
  return { place: { file, line: Math.max(1, line), column: Math.max(1, col) }, text: lines[line - 1] ?? '' }
}

function wrap(node: Node | Alias, source: Source): YamlNode {
  const { yaml, document } = source
  const target = yaml.isAlias(node) ? (node.resolve(document) ?? node) : node
  const { place, text } = located(source, node.range?.[0] ?? 0)
  const entries = yaml.isMap(target) ? target.items.flatMap((pair) => entriesOf(pair, source)) : []
  const items = yaml.isSeq(target)
    ? target.items.filter((item) => yaml.isNode(item)).map((item) => wrap(item, source))
    : []
  // A later value of a name wins, and a merged one loses to any of the map's own.
  const names = new Map(entries)
  const kind = kindOf(target, source)
  const wrapped: YamlNode = {
    kind,
    tag: target.tag?.startsWith('!') === true ? target.tag : undefined,
    value: yaml.isScalar(target) ? scalarOf(target.value) : undefined,
    place,
    line: text,
    get: (name) => names.get(name),
    at: (...path) => path.reduce<YamlNode | undefined>((found, name) => found?.get(name), wrapped),
    entries: () => [...names],
    items: () => items,
  }
  return wrapped
}

function kindOf(node: Node, { yaml }: Source): YamlNode['kind'] {
  if (yaml.isMap(node)) return 'map'
  if (yaml.isSeq(node)) return 'list'
  return yaml.isScalar(node) && node.value !== null && node.value !== undefined ? 'scalar' : 'null'
}

function scalarOf(value: unknown): string | number | boolean | undefined {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  return value === null || value === undefined ? undefined : JSON.stringify(value)
}

function entriesOf(pair: Pair, source: Source): (readonly [string, YamlNode])[] {
  const { yaml } = source
  const name = yaml.isScalar(pair.key) ? pair.key.value : pair.key
  const key = typeof name === 'symbol' ? (name.description ?? '') : String(name)
  const value = yaml.isNode(pair.value) ? pair.value : (pair.key as Node)
  if (key === '<<') return yaml.isNode(pair.value) ? [...wrap(pair.value, source).entries()] : []
  const node = wrap(value, source)
  return [[key, yaml.isNode(pair.value) ? node : { ...node, kind: 'null', value: undefined }]]
}

/** What is wrong at a node. */
export function faultAt(
  node: YamlNode,
  message: string,
  options: Pick<Fault, 'hint' | 'severity'> = {},
): Fault {
  return { place: node.place, text: node.line, message, ...options }
}
