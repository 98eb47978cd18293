import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

import type { Fault } from '../../../core/place.ts'
import { ACCOUNT_ID } from '../definition.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'
import { asText, type Value } from './value.ts'

/** A Serverless configuration, as far as it refers to itself and its surroundings. */
export interface VariableSource {
  readonly root: YamlNode
  readonly file: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly region: string
  /** Parses another file; undefined when it cannot be. */
  parse(file: string, text: string): Value | undefined
  warn(fault: Fault): void
}

const DEPTH_MAX = 20

/** The value of a node with every `${…}` replaced, as far as that can be done without the cloud. */
export function resolveNode(node: YamlNode, source: VariableSource, depth = 0): Value {
  if (depth > DEPTH_MAX) {
    source.warn(faultAt(node, 'this refers to itself', { severity: 'warning' }))
    return ''
  }
  if (node.kind === 'map') return resolveMap(node, source, depth + 1)
  if (node.kind === 'list') return node.items().map((item) => resolveNode(item, source, depth + 1))
  return typeof node.value === 'string'
    ? resolveText(node.value, { node, source, depth })
    : (node.value ?? null)
}

function resolveMap(node: YamlNode, source: VariableSource, depth: number): Value {
  const entries = node.entries()
  const [only] = entries
  // A reference to a resource: the emulated cloud calls it what the file calls it.
  if (entries.length === 1 && only?.[0] === 'Ref') return asText(only[1].value)
  return Object.fromEntries(entries.map(([name, value]) => [name, resolveNode(value, source, depth)]))
}

interface Scope {
  readonly node: YamlNode
  readonly source: VariableSource
  readonly depth: number
}

const INNERMOST = /\$\{([^${}]+)\}/

/** A text that is one variable takes over its value; otherwise values are put into the text, the innermost first. */
function resolveText(text: string, scope: Scope): Value {
  let rest = text
  for (let count = 0; count < 100; count += 1) {
    const match = INNERMOST.exec(rest)
    if (match === null) return rest
    const value = resolveVariable(match[1] ?? '', scope)
    if (match[0] === rest)
      return typeof value === 'string' && INNERMOST.test(value)
        ? resolveText(value, { ...scope, depth: scope.depth + 1 })
        : value
    rest = rest.slice(0, match.index) + asText(value) + rest.slice(match.index + match[0].length)
  }
  return rest
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
  const quoted = /^(['"])(.*)\1$/.exec(candidate)
  if (quoted !== null) return quoted[2]
  if (/^-?\d+(\.\d+)?$/.test(candidate)) return Number(candidate)
  if (candidate === 'true' || candidate === 'false') return candidate === 'true'
  const file = /^file\(([^)]+)\)(?::(.+))?$/.exec(candidate)
  if (file !== null) return fromFile(file[1]?.trim() ?? '', file[2], scope)
  const colon = candidate.indexOf(':')
  if (colon === -1) return candidate === 'null' ? null : undefined
  return fromAddress(candidate.slice(0, colon), candidate.slice(colon + 1), scope)
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

function fromSelf(address: string, { source, depth }: Scope): Value | undefined {
  const node =
    address === '' ? source.root : address.split('.').reduce<YamlNode | undefined>(step, source.root)
  return node === undefined || node.kind === 'null'
    ? selfDefault(address, source)
    : resolveNode(node, source, depth + 1)
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
    source.root.at('params', stage, name) ??
    source.root.at('stages', stage, 'params', name) ??
    source.root.at('params', 'default', name)
  return node === undefined ? undefined : resolveNode(node, source, depth + 1)
}

function fromFile(path: string, address: string | undefined, { source }: Scope): Value | undefined {
  let value: Value | undefined
  try {
    const file = resolve(dirname(source.file), path)
    value = source.parse(file, readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
  for (const name of address?.split('.') ?? []) {
    value =
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? (value as Record<string, Value>)[name]
        : undefined
  }
  return value
}
