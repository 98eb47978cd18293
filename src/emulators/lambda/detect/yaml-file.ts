import type * as yamlLibrary from 'yaml'
import type { Alias, Document, LineCounter, Node, Pair } from 'yaml'

import type { AbsolutePath, Fault, Place } from '../../../core/place.ts'
import type { Value, ValueMap } from './value.ts'

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
  return (await yamlParser())(file, text)
}

export type YamlParser = (file: AbsolutePath, text: string) => YamlFile

/** The same for who reads files as they are named, one after the other. */
export async function yamlParser(): Promise<YamlParser> {
  const yaml = await import('yaml')
  return (file, text) => parseWith(yaml, file, text)
}

function parseWith(yaml: typeof yamlLibrary, file: AbsolutePath, text: string): YamlFile {
  const counter = new yaml.LineCounter()
  const document = yaml.parseDocument(text.replace(/^\uFEFF/, ''), {
    lineCounter: counter,
    merge: true,
    prettyErrors: false,
    logLevel: 'silent',
  })
  const lines = text.split(/\r?\n/)
  const source: Source = { file, lines, counter, document, yaml, aliases: { left: ALIASES_MAX } }
  const faults = document.errors.map((error) => {
    const [message = error.message] = error.message.split('\n')
    return { ...located(source, error.pos[0]), message }
  })
  const root = document.contents === null || faults.length > 0 ? undefined : wrap(document.contents, source)
  return { root, faults }
}

/** Aliases of aliases grow without end; so many no person writes. */
const ALIASES_MAX = 5_000

interface Source {
  readonly file: AbsolutePath
  readonly lines: readonly string[]
  readonly counter: LineCounter
  readonly document: Document
  readonly yaml: typeof yamlLibrary
  readonly aliases: { left: number }
}

function located({ file, lines, counter }: Source, offset: number): { place: Place; text: string } {
  const { line, col } = counter.linePos(offset)
  return { place: { file, line: Math.max(1, line), column: Math.max(1, col) }, text: lines[line - 1] ?? '' }
}

function wrap(node: Node | Alias, source: Source): YamlNode {
  const { yaml } = source
  const target = yaml.isAlias(node) ? followed(node, source) : node
  const { place, text } = located(source, node.range?.[0] ?? 0)
  // What nobody asks for is not looked at: an alias may stand inside of what it names.
  let names: ReadonlyMap<string, YamlNode> | undefined
  let items: readonly YamlNode[] | undefined
  // A later value of a name wins, and a merged one loses to any of the map's own.
  const named = (): ReadonlyMap<string, YamlNode> => (names ??= namesOf(target, source))
  const wrapped: YamlNode = {
    kind: kindOf(target, source),
    tag: target.tag?.startsWith('!') === true ? target.tag : undefined,
    value: yaml.isScalar(target) ? scalarOf(target.value) : undefined,
    place,
    line: text,
    get: (name) => named().get(name),
    at: (...path) => path.reduce<YamlNode | undefined>((found, name) => found?.get(name), wrapped),
    entries: () => [...named()],
    items: () => (items ??= itemsOf(target, source)),
  }
  return wrapped
}

function followed(alias: Alias, { document, aliases }: Source): Node | Alias {
  aliases.left -= 1
  return aliases.left < 0 ? alias : (alias.resolve(document) ?? alias)
}

function namesOf(node: Node, source: Source): ReadonlyMap<string, YamlNode> {
  const pairs = source.yaml.isMap(node) ? node.items : []
  const merged = pairs.filter((pair) => keyOf(pair, source) === '<<')
  const own = pairs.filter((pair) => keyOf(pair, source) !== '<<')
  return new Map([...merged, ...own].flatMap((pair) => entriesOf(pair, source)))
}

function itemsOf(node: Node, source: Source): readonly YamlNode[] {
  const { yaml } = source
  if (!yaml.isSeq(node)) return []
  return node.items.filter((item) => yaml.isNode(item)).map((item) => wrap(item, source))
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

function keyOf({ key }: Pair, { yaml }: Source): string {
  const name = yaml.isScalar(key) ? key.value : key
  return typeof name === 'symbol' ? (name.description ?? '') : String(name)
}

function entriesOf(pair: Pair, source: Source): (readonly [string, YamlNode])[] {
  const { yaml } = source
  const key = keyOf(pair, source)
  if (key === '<<') return yaml.isNode(pair.value) ? mergedEntries(wrap(pair.value, source)) : []
  const value = yaml.isNode(pair.value) ? pair.value : yaml.isNode(pair.key) ? pair.key : undefined
  if (value === undefined) return []
  const node = wrap(value, source)
  return [[key, yaml.isNode(pair.value) ? node : { ...node, kind: 'null', value: undefined }]]
}

/** `<<: [*a, *b]`: the first has the last word. */
function mergedEntries(node: YamlNode): (readonly [string, YamlNode])[] {
  return node.kind === 'list'
    ? node
        .items()
        .toReversed()
        .flatMap((item) => [...item.entries()])
    : [...node.entries()]
}

/** What is wrong at a node. */
export function faultAt(
  node: YamlNode,
  message: string,
  options: Pick<Fault, 'hint' | 'severity'> = {},
): Fault {
  return { place: node.place, ...(node.line === '' ? {} : { text: node.line }), message, ...options }
}

/** A value that was worked out, as a node that stands where it was asked for. */
export function nodeOf(value: Value | undefined, at: Pick<YamlNode, 'place' | 'line'>): YamlNode {
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value)
  const kind =
    value === null || value === undefined ? 'null' : isMap ? 'map' : Array.isArray(value) ? 'list' : 'scalar'
  const node: YamlNode = {
    kind,
    tag: undefined,
    value: typeof value === 'object' || value === null ? undefined : value,
    place: at.place,
    line: at.line,
    get: (name) => (isMap && Object.hasOwn(value, name) ? nodeOf((value as ValueMap)[name], at) : undefined),
    at: (...path) => path.reduce<YamlNode | undefined>((found, name) => found?.get(name), node),
    entries: () =>
      isMap ? Object.entries(value).map(([name, one]) => [name, nodeOf(one as Value, at)] as const) : [],
    items: () => (Array.isArray(value) ? value.map((one) => nodeOf(one as Value, at)) : []),
  }
  return node
}

/** Maps of both become one and lists follow each other; of anything else the second counts. */
export function mergeNodes(base: YamlNode | undefined, own: YamlNode | undefined): YamlNode | undefined {
  if (base === undefined || own === undefined) return own ?? base
  if (isCall(base) || isCall(own) || base.kind !== own.kind) return own
  if (own.kind === 'list') return { ...own, items: () => [...base.items(), ...own.items()] }
  if (own.kind !== 'map') return own
  const get = (name: string): YamlNode | undefined => mergeNodes(base.get(name), own.get(name))
  const names = new Set([...base.entries(), ...own.entries()].map(([name]) => name))
  const merged: YamlNode = {
    ...own,
    get,
    at: (...path) => path.reduce<YamlNode | undefined>((found, name) => found?.get(name), merged),
    entries: () =>
      [...names].flatMap((name) => {
        const node = get(name)
        return node === undefined ? [] : [[name, node] as const]
      }),
  }
  return merged
}

/** `!Ref x`, `Fn::If: […]`: a value to be worked out, not a map to be merged. */
function isCall(node: YamlNode): boolean {
  const [first, second] = node.kind === 'map' ? node.entries() : []
  return node.tag !== undefined || (second === undefined && /^(Ref|Fn::\w+)$/.test(first?.[0] ?? ''))
}
