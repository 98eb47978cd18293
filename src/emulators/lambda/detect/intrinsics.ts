import { ACCOUNT_ID, functionArn } from '../definition.ts'
import { asText, type Value } from './value.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'
import type { Fault } from '../../../core/place.ts'

/** A CloudFormation template, as far as its functions refer to it. */
export interface Template {
  readonly root: YamlNode
  readonly region: string
  readonly stackName: string
  /** Takes what could not be resolved. */
  warn(fault: Fault): void
}

const FUNCTIONS = new Set(['AWS::Serverless::Function', 'AWS::Lambda::Function'])
const DEPTH_MAX = 20

/** The value of a node with every intrinsic function worked out, as far as that can be done without the cloud. */
export function valueOf(node: YamlNode, template: Template, depth = 0): Value {
  if (depth > DEPTH_MAX) {
    template.warn(faultAt(node, 'this refers to itself', { severity: 'warning' }))
    return ''
  }
  const [name, argument] = intrinsicOf(node) ?? []
  if (name !== undefined && argument !== undefined)
    return callIntrinsic({ name, node: argument, template, depth: depth + 1 })
  if (node.kind === 'map')
    return Object.fromEntries(
      node.entries().map(([key, value]) => [key, valueOf(value, template, depth + 1)]),
    )
  if (node.kind === 'list') return node.items().map((item) => valueOf(item, template, depth + 1))
  return node.value ?? null
}

export function textOf(node: YamlNode | undefined, template: Template): string | undefined {
  if (node === undefined) return undefined
  const value = valueOf(node, template)
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined
}

/** `!Sub x`, `Fn::Sub: x` and `Ref: x` are the same thing. */
function intrinsicOf(node: YamlNode): readonly [string, YamlNode] | undefined {
  if (node.tag !== undefined) return [node.tag.slice(1), { ...node, tag: undefined }]
  const [entry, ...others] = node.kind === 'map' ? node.entries() : []
  if (entry === undefined || others.length > 0) return undefined
  const [key, value] = entry
  if (key === 'Ref' || key === 'Condition') return key === 'Ref' ? [key, value] : undefined
  return key.startsWith('Fn::') ? [key.slice(4), value] : undefined
}

interface Call {
  readonly name: string
  readonly node: YamlNode
  readonly template: Template
  readonly depth: number
}

type Intrinsic = (call: Call) => Value

const INTRINSICS: Readonly<Record<string, Intrinsic>> = {
  Ref: ({ node, template }) => reference(String(node.value), template),
  GetAtt: ({ node, template }) => {
    const path =
      node.kind === 'list' ? node.items().map((item) => String(item.value)) : String(node.value).split('.')
    return attribute(path, template)
  },
  Sub: substitute,
  Join: (call) => {
    const [separator, list] = listOf(call)
    return Array.isArray(list) ? list.map(asText).join(asText(separator)) : ''
  },
  Select: (call) => {
    const [index, list] = listOf(call)
    return Array.isArray(list) ? ((list[Number(index)] as Value | undefined) ?? '') : ''
  },
  Split: (call) => {
    const [separator, text] = listOf(call)
    return asText(text).split(asText(separator))
  },
  If: ({ node, template, depth }) => {
    const [condition, yes, no] = node.items()
    const chosen = condition !== undefined && isMet(String(condition.value), template, depth) ? yes : no
    return chosen === undefined ? null : valueOf(chosen, template, depth)
  },
  FindInMap: (call) => {
    const [map, first, second] = listOf(call).map(asText)
    const found = call.template.root.at('Mappings', map ?? '', first ?? '', second ?? '')
    return found === undefined ? unresolved(call) : valueOf(found, call.template, call.depth)
  },
  Equals: (call) => {
    const [left, right] = listOf(call)
    return asText(left) === asText(right)
  },
  Not: (call) => !truth(call.node.items()[0], call),
  And: (call) => call.node.items().every((item) => truth(item, call)),
  Or: (call) => call.node.items().some((item) => truth(item, call)),
  Condition: ({ node, template, depth }) => isMet(String(node.value), template, depth),
  Base64: ({ node, template, depth }) =>
    Buffer.from(asText(valueOf(node, template, depth))).toString('base64'),
}

function callIntrinsic(call: Call): Value {
  const intrinsic = Object.hasOwn(INTRINSICS, call.name) ? INTRINSICS[call.name] : undefined
  return intrinsic === undefined ? unresolved(call) : intrinsic(call)
}

function unresolved({ name, node, template }: Call): Value {
  template.warn(
    faultAt(node, `!${name} has no value here; it is empty`, {
      severity: 'warning',
      hint: 'Set the variable in flexi.jsonc or in an env file.',
    }),
  )
  return ''
}

function listOf({ node, template, depth }: Call): readonly Value[] {
  return node.items().map((item) => valueOf(item, template, depth))
}

function truth(node: YamlNode | undefined, { template, depth }: Call): boolean {
  if (node === undefined) return false
  const condition = node.kind === 'map' ? node.get('Condition') : undefined
  return condition === undefined
    ? valueOf(node, template, depth) === true
    : isMet(String(condition.value), template, depth)
}

/** Whether a condition of the template holds, with the parameters' defaults. One that does not exist does. */
export function isMet(name: string, template: Template, depth = 0): boolean {
  const condition = template.root.at('Conditions', name)
  return condition === undefined || valueOf(condition, template, depth + 1) === true
}

/** A parameter's default, or a resource's own name: the emulated cloud calls things what the template calls them. */
function reference(name: string, template: Template): Value {
  const pseudo = pseudoParameter(name, template)
  if (pseudo !== undefined) return pseudo
  const parameter = template.root.at('Parameters', name)
  if (parameter === undefined) return name
  const value = parameter.get('Default')
  if (value !== undefined) return value.value ?? ''
  template.warn(
    faultAt(parameter, `parameter ${name} has no Default; it is empty`, {
      severity: 'warning',
      hint: 'Give it a Default.',
    }),
  )
  return ''
}

function pseudoParameter(name: string, { region, stackName }: Template): string | undefined {
  const values: Readonly<Record<string, string>> = {
    'AWS::Region': region,
    'AWS::AccountId': ACCOUNT_ID,
    'AWS::Partition': 'aws',
    'AWS::StackName': stackName,
    'AWS::StackId': `arn:aws:cloudformation:${region}:${ACCOUNT_ID}:stack/${stackName}/local`,
    'AWS::URLSuffix': 'amazonaws.com',
    'AWS::NoValue': '',
  }
  return values[name]
}

function attribute([resource = '', ...rest]: readonly string[], template: Template): Value {
  const type = String(template.root.at('Resources', resource, 'Type')?.value ?? '')
  if (FUNCTIONS.has(type) && rest[0] === 'Arn') return functionArn(resource, template.region)
  return [resource, ...rest].join('.')
}

function substitute({ node, template, depth }: Call): Value {
  const [text, variables] = node.kind === 'list' ? node.items() : [node, undefined]
  return String(text?.value ?? '').replace(/\$\{(!?)([^}]+)\}/g, (_whole, literal: string, name: string) => {
    if (literal === '!') return `\${${name}}`
    const own = variables?.get(name.trim())
    if (own !== undefined) return asText(valueOf(own, template, depth))
    const path = name.trim().split('.')
    return asText(path.length > 1 ? attribute(path, template) : reference(path[0] ?? '', template))
  })
}
