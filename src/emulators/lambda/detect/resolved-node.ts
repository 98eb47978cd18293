import { expanded, resolveNode, type VariableSource } from './variables.ts'
import { nodeOf, type YamlNode } from './yaml-file.ts'

/**
 * A part of a Serverless configuration with its `${…}` worked out, when somebody looks. What CloudFormation is to work out (`!Ref`)
 * stays, and so does the place of everything.
 */
export function resolvedNode(
  node: YamlNode,
  source: VariableSource,
  within: readonly string[] = [],
): YamlNode {
  const text = typeof node.value === 'string' && node.value.includes('${') ? node.value : undefined
  // What stands inside of itself ends there.
  if (text !== undefined && (within.includes(text) || within.length > DEEP)) return nodeOf(undefined, node)
  const found = expanded(node, source) ?? node
  if (found.kind === 'scalar') return resolvedScalar(found, source)
  const inside = text === undefined ? within : [...within, text]
  const child = (one: YamlNode): YamlNode => resolvedNode(one, source, inside)
  const childOrNone = (one: YamlNode | undefined): YamlNode | undefined =>
    one === undefined ? undefined : child(one)
  const resolved: YamlNode = {
    ...found,
    get: (name) => childOrNone(found.get(name)),
    at: (...path) => path.reduce<YamlNode | undefined>((one, name) => one?.get(name), resolved),
    entries: () => found.entries().map(([name, one]) => [name, child(one)] as const),
    items: () => found.items().map(child),
  }
  return resolved
}

/** Variables that lead to parts with variables that lead to parts … */
const DEEP = 10

function resolvedScalar(node: YamlNode, source: VariableSource): YamlNode {
  if (typeof node.value !== 'string' || !node.value.includes('${')) return node
  const value = nodeOf(resolveNode({ ...node, tag: undefined }, source), node)
  return node.tag === undefined ? value : { ...value, tag: node.tag }
}
