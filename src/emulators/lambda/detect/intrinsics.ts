import { attribute, reference } from './references.ts'
import type { Template } from './template.ts'
import { asText, type Value } from './value.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

const DEPTH_MAX = 50

/** A template that can be asked for values. */
export function openTemplate(parts: Omit<Template, 'conditions' | 'text'>): Template {
  const template: Template = { ...parts, conditions: new Map(), text: (node) => textOf(node, template) }
  return template
}

/**
 * The value of a node with every intrinsic function worked out, as far as that can be done without the cloud.
 * Undefined is `AWS::NoValue`: what had it is not there.
 */
export function valueOf(node: YamlNode, template: Template, depth = 0): Value | undefined {
  if (depth > DEPTH_MAX) {
    template.warn(faultAt(node, 'this refers to itself', { severity: 'warning' }))
    return ''
  }
  const [name, argument] = intrinsicOf(node) ?? []
  if (name !== undefined && argument !== undefined)
    return callIntrinsic({ name, node: argument, template, depth: depth + 1 })
  if (node.kind === 'map')
    return Object.fromEntries(
      node
        .entries()
        .map(([key, value]) => [key, valueOf(value, template, depth + 1)] as const)
        .filter((entry): entry is readonly [string, Value] => entry[1] !== undefined),
    )
  if (node.kind === 'list') return listOf({ name: '', node, template, depth: depth + 1 })
  return literal(node, template)
}

export function textOf(node: YamlNode | undefined, template: Template): string | undefined {
  if (node === undefined) return undefined
  const value = valueOf(node, template)
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined
}

/** A list of texts; one text is a list of it. */
export function textsOf(node: YamlNode | undefined, template: Template): string[] | undefined {
  const value = node === undefined ? undefined : valueOf(node, template)
  if (value === undefined || value === null) return undefined
  return Array.isArray(value) ? value.map(asText) : [asText(value)]
}

/** The node that an `!If` leads to, for who needs its place or its parts; undefined for `AWS::NoValue`. */
export function settled(node: YamlNode | undefined, template: Template, depth = 0): YamlNode | undefined {
  if (node === undefined || depth > DEPTH_MAX) return node
  const [name, argument] = intrinsicOf(node) ?? []
  if (name === 'Ref' && argument?.value === 'AWS::NoValue') return undefined
  return name === 'If' && argument !== undefined
    ? settled(chosen(argument, template), template, depth + 1)
    : node
}

/** `[condition, yes, no]` */
function chosen(node: YamlNode, template: Template): YamlNode | undefined {
  const [condition, yes, no] = node.items()
  return isMet(asText(condition?.value), template, condition) ? yes : no
}

/** `!Sub x`, `Fn::Sub: x` and `Ref: x` are the same thing. */
function intrinsicOf(node: YamlNode): readonly [string, YamlNode] | undefined {
  if (node.tag !== undefined) return [node.tag.slice(1), { ...node, tag: undefined }]
  const [entry, ...others] = node.kind === 'map' ? node.entries() : []
  if (entry === undefined || others.length > 0) return undefined
  const [key, value] = entry
  if (key === 'Ref') return [key, value]
  return key.startsWith('Fn::') ? [key.slice(4), value] : undefined
}

/** Text that the cloud would fill in from a store of its own has no value here. */
function literal(node: YamlNode, template: Template): Value {
  const { value } = node
  if (typeof value !== 'string' || !value.includes('{{resolve:')) return value ?? null
  template.warn(
    faultAt(node, `${value} has no value here; it is empty`, { severity: 'warning', hint: SET_IT }),
  )
  return ''
}

interface Call {
  readonly name: string
  readonly node: YamlNode
  readonly template: Template
  readonly depth: number
}

type Intrinsic = (call: Call) => Value | undefined

const INTRINSICS: Readonly<Record<string, Intrinsic>> = {
  Ref: ({ node, template }) => reference(String(node.value), template, node),
  GetAtt: ({ node, template, depth }) => {
    const path =
      node.kind === 'list'
        ? node.items().map((item) => asText(valueOf(item, template, depth)))
        : String(node.value).split('.')
    return attribute(path, template, node)
  },
  Sub: substitute,
  Join: (call) => {
    const [separator, list] = listOf(call)
    return Array.isArray(list) ? list.map(asText).join(asText(separator)) : ''
  },
  Select: (call) => {
    const [index, list] = listOf(call)
    const found = Array.isArray(list) ? (list[Number(index)] as Value | undefined) : undefined
    return found ?? unresolved(call)
  },
  Split: (call) => {
    const [separator, text] = listOf(call)
    return asText(text).split(asText(separator))
  },
  If: ({ node, template, depth }) => {
    const found = chosen(node, template)
    return found === undefined ? undefined : valueOf(found, template, depth)
  },
  FindInMap: findInMap,
  Equals: (call) => {
    const [left, right] = listOf(call)
    return asText(left) === asText(right)
  },
  Not: (call) => !truth(call.node.items()[0], call),
  And: (call) => call.node.items().every((item) => truth(item, call)),
  Or: (call) => call.node.items().some((item) => truth(item, call)),
  Condition: ({ node, template }) => isMet(asText(node.value), template, node),
  Base64: ({ node, template, depth }) =>
    Buffer.from(asText(valueOf(node, template, depth))).toString('base64'),
  ImportValue: imported,
  GetAZs: ({ node, template, depth }) => {
    const region = asText(valueOf(node, template, depth))
    return ['a', 'b', 'c'].map((zone) => `${region === '' ? template.region : region}${zone}`)
  },
  Length: (call) => listOf(call).length,
  ToJsonString: ({ node, template, depth }) => JSON.stringify(valueOf(node, template, depth) ?? null),
}

function callIntrinsic(call: Call): Value | undefined {
  const intrinsic = Object.hasOwn(INTRINSICS, call.name) ? INTRINSICS[call.name] : undefined
  return intrinsic === undefined ? unresolved(call) : intrinsic(call)
}

const SET_IT = 'Set the variable in flexi.jsonc or in an env file.'

function unresolved({ name, node, template }: Call): Value {
  template.warn(
    faultAt(node, `!${name} has no value here; it is empty`, { severity: 'warning', hint: SET_IT }),
  )
  return ''
}

/** The arguments, each worked out; one that comes to a list where the arguments should stand is them. */
function listOf({ node, template, depth }: Call): readonly Value[] {
  const values = intrinsicOf(node) === undefined ? undefined : valueOf(node, template, depth)
  if (Array.isArray(values)) return values as readonly Value[]
  return node
    .items()
    .map((item) => valueOf(item, template, depth))
    .filter((value): value is Value => value !== undefined)
}

function truth(node: YamlNode | undefined, { template, depth }: Call): boolean {
  if (node === undefined) return false
  const condition = node.kind === 'map' ? node.get('Condition') : undefined
  return condition === undefined
    ? asText(valueOf(node, template, depth)) === 'true'
    : isMet(asText(condition.value), template, condition)
}

/** Whether a condition of the template holds, with the parameters' values. One that does not exist does, and is told. */
export function isMet(name: string, template: Template, from?: YamlNode): boolean {
  const node = template.root.at('Conditions', name)
  const known = template.conditions.get(name)
  if (known !== undefined) return known
  if (node === undefined || template.conditions.has(name)) {
    const message = node === undefined ? `there is no condition ${name}; it holds` : 'this refers to itself'
    if (from !== undefined) template.warn(faultAt(from, message, { severity: 'warning' }))
    return node === undefined
  }
  template.conditions.set(name, undefined)
  const met = asText(valueOf(node, template)) === 'true'
  template.conditions.set(name, met)
  return met
}

function findInMap(call: Call): Value | undefined {
  const { template, node, depth } = call
  const [map, first, second] = listOf(call).map(asText)
  const found = template.root.at('Mappings', map ?? '', first ?? '', second ?? '')
  const value = found ?? node.items()[3]?.get('DefaultValue')
  return value === undefined ? unresolved(call) : valueOf(value, template, depth)
}

/** What another stack exports is known when this one happens to export it. */
function imported(call: Call): Value | undefined {
  const { template, node, depth } = call
  const name = asText(valueOf(node, template, depth))
  const outputs = template.root.get('Outputs')?.entries() ?? []
  const output = outputs.find(([, one]) => {
    const exported = one.at('Export', 'Name')
    return exported !== undefined && asText(valueOf(exported, template, depth + 10)) === name
  })
  const value = output?.[1].get('Value')
  return value === undefined ? unresolved(call) : valueOf(value, template, depth + 10)
}

function substitute({ node, template, depth }: Call): Value {
  const [text, variables] = node.kind === 'list' ? node.items() : [node, undefined]
  return String(text?.value ?? '').replace(/\$\{(!?)([^}]+)\}/g, (_whole, bang: string, name: string) => {
    if (bang === '!') return `\${${name}}`
    const own = variables?.get(name.trim())
    if (own !== undefined) return asText(valueOf(own, template, depth))
    const path = name.trim().split('.')
    return asText(
      path.length > 1 ? attribute(path, template, node) : reference(path[0] ?? '', template, node),
    )
  })
}
