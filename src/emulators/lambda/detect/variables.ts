import { dirname, resolve } from 'node:path'

import type { Fault } from '../../../core/place.ts'
import { ACCOUNT_ID } from '../definition.ts'
import { asText, type Value } from './value.ts'
import { faultAt, nodeOf, type YamlNode } from './yaml-file.ts'

/** A Serverless configuration, as far as it refers to itself and its surroundings. */
export interface VariableSource {
  readonly root: YamlNode
  readonly file: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly region: string
  /** What is being looked up, so that what refers to itself ends. */
  readonly active: Set<string>
  /** Another file's content; undefined when it is not there or cannot be read. */
  read(file: string): YamlNode | undefined
  warn(fault: Fault): void
}

const DEPTH_MAX = 50

/** The value of a node with every `${…}` replaced, as far as that can be done without the cloud. */
export function resolveNode(node: YamlNode, source: VariableSource, depth = 0): Value {
  if (depth > DEPTH_MAX) {
    source.warn(faultAt(node, 'this refers to itself', { severity: 'warning' }))
    return ''
  }
  if (node.kind === 'map')
    return Object.fromEntries(
      node.entries().map(([name, value]) => [name, resolveNode(value, source, depth + 1)]),
    )
  if (node.kind === 'list') return node.items().map((item) => resolveNode(item, source, depth + 1))
  // `!Ref x` and the like are CloudFormation's; they stay what they are until it is asked.
  if (node.tag !== undefined)
    return { [node.tag === '!Ref' ? 'Ref' : `Fn::${node.tag.slice(1)}`]: literalOf(node) }
  return typeof node.value === 'string'
    ? resolveText(node.value, { node, source, depth })
    : (node.value ?? null)
}

function literalOf({ value }: YamlNode): Value {
  return value ?? null
}

/** The node that a `${file(…)}` or `${self:…}` stands for, for who needs its place or its parts. */
export function expanded(
  node: YamlNode | undefined,
  source: VariableSource,
  depth = 0,
): YamlNode | undefined {
  const text = typeof node?.value === 'string' ? node.value.trim() : ''
  if (node === undefined || depth > DEPTH_MAX || !isOneVariable(text)) return node
  const expression = asText(resolveText(text.slice(2, -1), { node, source, depth }))
  for (const candidate of splitOutsideQuotes(expression)) {
    const found = lookUpNode(candidate.trim(), { node, source, depth })
    if (found !== undefined && found.kind !== 'null') return found
  }
  const value = resolveText(text, { node, source, depth })
  return nodeOf(value, node)
}

/** `at(source, 'provider', 'environment')`, through files that parts are kept in. */
export function at(source: VariableSource, ...names: readonly string[]): YamlNode | undefined {
  return names.reduce<YamlNode | undefined>((found, name) => expanded(step(found, name), source), source.root)
}

/** `${a, ${b}}` is one, `${a}-${b}` is not. */
function isOneVariable(text: string): boolean {
  if (!text.startsWith('${') || !text.endsWith('}')) return false
  let open = 0
  for (let index = 0; index < text.length; index += 1) {
    if (text.startsWith('${', index)) open += 1
    else if (text[index] === '}') open -= 1
    if (open === 0 && index > 0) return index === text.length - 1
  }
  return false
}

const FILE = /^file\(([^)]+)\)(?::(.+))?$/

function lookUpNode(candidate: string, scope: Scope): YamlNode | undefined {
  const { source, depth } = scope
  const file = FILE.exec(candidate)
  if (file === null && !candidate.startsWith('self:')) return undefined
  return once(candidate, scope, () => {
    const node =
      file === null ? at(source, ...addressOf(candidate.slice(5))) : fileNode(file[1] ?? '', file[2], scope)
    return expanded(node, source, depth + 1)
  })
}

function addressOf(address: string): readonly string[] {
  return address === '' ? [] : address.split('.')
}

/** Looks up what is not being looked up already. */
function once<Found>(what: string, { node, source }: Scope, look: () => Found): Found | undefined {
  if (source.active.has(what)) {
    source.warn(faultAt(node, 'this refers to itself', { severity: 'warning' }))
    return undefined
  }
  source.active.add(what)
  try {
    return look()
  } finally {
    source.active.delete(what)
  }
}

interface Scope {
  readonly node: YamlNode
  readonly source: VariableSource
  readonly depth: number
}

const INNERMOST = /\$\{([^${}]*)\}/
/** `env:NAME`, `file(…)`, `self:`; `AWS::Region` and `Table` are CloudFormation's own. */
const VARIABLE = /(^|,)\s*[a-zA-Z]\w*(\([^)]*\))?(:(?!:)|$)/
const KEPT = '\u0000{'

/** A text that is one variable takes over its value; otherwise values are put into the text, the innermost first. */
function resolveText(text: string, scope: Scope): Value {
  let rest = text
  for (let count = 0; count < 100; count += 1) {
    const match = INNERMOST.exec(rest)
    if (match === null) break
    const [whole, expression = ''] = match
    const before = rest.slice(0, match.index)
    const after = rest.slice(match.index + whole.length)
    if (!isVariable(expression)) {
      rest = `${before}${KEPT}${expression}}${after}`
      continue
    }
    const value = resolveVariable(expression, scope)
    if (whole === rest) return value
    rest = `${before}${asText(value)}${after}`
  }
  return rest.replaceAll(KEPT, '${')
}

function isVariable(expression: string): boolean {
  return VARIABLE.test(expression) && /[:(,]/.test(expression)
}

/** `env:STAGE, self:custom.stage, 'dev'`: the first that has a value. */
function resolveVariable(expression: string, scope: Scope): Value {
  const candidates = splitOutsideQuotes(expression)
  for (const candidate of candidates) {
    const value = lookUp(candidate.trim(), scope)
    if (value !== undefined) return value
  }
  const hint = 'Add a default: ${' + `${candidates[0]?.trim() ?? ''}, 'value'}.`
  scope.source.warn(
    faultAt(scope.node, `\${${expression}} has no value here; it is empty`, { severity: 'warning', hint }),
  )
  return ''
}

function splitOutsideQuotes(text: string): string[] {
  return text.match(/(?:'[^']*'|"[^"]*"|\([^)]*\)|[^,])+/g) ?? []
}

function lookUp(candidate: string, scope: Scope): Value | undefined {
  const literal = literalIn(candidate)
  if (literal !== undefined) return literal
  const file = FILE.exec(candidate)
  if (file !== null) return fromFile(candidate, file, scope)
  const bool = /^strToBool\((.*)\)$/.exec(candidate)
  if (bool !== null) return /^(true|1)$/i.test(bool[1]?.trim() ?? '')
  const colon = candidate.indexOf(':')
  return colon === -1 ? undefined : fromAddress(candidate.slice(0, colon), candidate.slice(colon + 1), scope)
}

/** `'text'`, `5`, `true`, `null` */
function literalIn(candidate: string): Value | undefined {
  const quoted = /^(['"])(.*)\1$/.exec(candidate)
  if (quoted !== null) return quoted[2]
  if (/^-?\d+(\.\d+)?$/.test(candidate)) return Number(candidate)
  if (candidate === 'null') return null
  return candidate === 'true' || candidate === 'false' ? candidate === 'true' : undefined
}

const ADDRESSES: Readonly<Record<string, (address: string, scope: Scope) => Value | undefined>> = {
  env: (address, { source }) => source.environment[address],
  self: fromSelf,
  // There is no command line of Serverless here; what it falls back to is the provider's.
  opt: (address, { source }) =>
    address === 'stage' || address === 'region' ? ownSetting(address, source) : undefined,
  sls: (address, { source }) =>
    address === 'stage' ? ownSetting('stage', source) : address === 'instanceId' ? 'local' : undefined,
  aws: (address, { source }) =>
    address === 'accountId' ? ACCOUNT_ID : address === 'region' ? source.region : undefined,
  param: fromParameters,
}

function fromAddress(kind: string, address: string, scope: Scope): Value | undefined {
  return Object.hasOwn(ADDRESSES, kind) ? ADDRESSES[kind]?.(address, scope) : undefined
}

/** `provider.stage`, unless that itself asks for the option; then Serverless's own default. */
function ownSetting(name: 'stage' | 'region', source: VariableSource): string | undefined {
  const value = source.root.at('provider', name)?.value
  if (typeof value === 'string' && !value.includes('${')) return value
  const fallback = /,\s*['"]?([\w-]+)['"]?\s*\}\s*$/.exec(String(value ?? ''))?.[1]
  return fallback ?? (value === undefined ? (name === 'stage' ? 'dev' : source.region) : undefined)
}

function fromSelf(address: string, scope: Scope): Value | undefined {
  const { source, depth } = scope
  return once(`self:${address}`, scope, () => {
    const node = at(source, ...addressOf(address))
    return node === undefined || node.kind === 'null'
      ? selfDefault(address, source)
      : resolveNode(node, source, depth + 1)
  })
}

function step(node: YamlNode | undefined, name: string): YamlNode | undefined {
  return node?.kind === 'list' ? node.items()[Number(name)] : node?.get(name)
}

function selfDefault(address: string, source: VariableSource): string | undefined {
  if (address === 'provider.stage') return 'dev'
  return address === 'provider.region' ? source.region : undefined
}

function fromParameters(name: string, { source, depth }: Scope): Value | undefined {
  const stage = ownSetting('stage', source) ?? 'dev'
  const node =
    at(source, 'params', stage, name) ??
    at(source, 'stages', stage, 'params', name) ??
    at(source, 'params', 'default', name) ??
    at(source, 'stages', 'default', 'params', name)
  return node === undefined ? undefined : resolveNode(node, source, depth + 1)
}

function fromFile(candidate: string, file: RegExpExecArray, scope: Scope): Value | undefined {
  return once(candidate, scope, () => {
    const node = fileNode(file[1] ?? '', file[2], scope)
    return node === undefined || node.kind === 'null'
      ? undefined
      : resolveNode(node, scope.source, scope.depth + 1)
  })
}

/** Paths start at the folder of the service, also in files that it reads. */
function fileNode(path: string, address: string | undefined, { node, source }: Scope): YamlNode | undefined {
  if (/\.[cm]?[jt]s$/.test(path.trim())) {
    source.warn(
      faultAt(node, `${path.trim()} is code, which is not run to read a configuration`, {
        severity: 'warning',
        hint: 'Write it as YAML or JSON.',
      }),
    )
    return undefined
  }
  const root = source.read(resolve(dirname(source.file), path.trim()))
  return addressOf(address ?? '').reduce<YamlNode | undefined>(
    (found, name) => expanded(step(found, name), source),
    root,
  )
}
