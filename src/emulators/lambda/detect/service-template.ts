import { functionName, sayOnce, type Findings } from './findings.ts'
import { openTemplate } from './intrinsics.ts'
import { resolvedNode } from './resolved-node.ts'
import type { Template } from './template.ts'
import { asText, type Value, type ValueMap } from './value.ts'
import { at, resolveNode, type VariableSource } from './variables.ts'
import { mergeNodes, nodeOf, type YamlNode } from './yaml-file.ts'

export interface ServiceParts {
  readonly source: VariableSource
  readonly findings: Findings
  readonly stage: string
  /** The service's name. */
  readonly name: string
  readonly functions: readonly (readonly [id: string, node: YamlNode])[]
}

/** The template that a service is deployed as, as far as it refers to itself: its `resources`, its functions and its layers. */
export function serviceTemplate(parts: ServiceParts): Template {
  const { source, findings, stage, name, functions } = parts
  const own = resourcesIn(source)
  const made = nodeOf({ Resources: madeResources(parts) }, source.root)
  return openTemplate({
    root: mergeNodes(made, own) ?? made,
    region: source.region,
    stackName: `${name}-${stage}`,
    parameters: new Map(),
    names: new Map(functions.map(([id]) => [`${logicalId(id)}LambdaFunction`, functionName(id)])),
    isWhole: false,
    warn: (fault) => sayOnce(findings, fault),
  })
}

/** `resources` is a template, or a list of them. */
function resourcesIn(source: VariableSource): YamlNode | undefined {
  const said = at(source, 'resources')
  if (said === undefined) return undefined
  const node = resolvedNode(said, source)
  return node.kind === 'list'
    ? node.items().reduce<YamlNode | undefined>((merged, one) => mergeNodes(merged, one), undefined)
    : node
}

/** What the framework adds by names that people refer to: `HelloLambdaFunction`, `ToolsLambdaLayer`. */
function madeResources({ source, stage, name, functions }: ServiceParts): ValueMap {
  const functionEntries = functions.map(([id, node]) => {
    const FunctionName = functionNameOf(node, { source, otherwise: `${name}-${stage}-${id}` })
    return [`${logicalId(id)}LambdaFunction`, { Type: 'AWS::Lambda::Function', Properties: { FunctionName } }]
  })
  const layers = at(source, 'layers')?.entries() ?? []
  const layerEntries = layers.map(([id, node]) => {
    const Content = asText(valueAt(node.at('package', 'artifact') ?? node.get('path'), source))
    return [
      `${logicalId(id)}LambdaLayer`,
      { Type: 'AWS::Lambda::LayerVersion', Properties: { LayerName: id, Content } },
    ]
  })
  return Object.fromEntries([...functionEntries, ...layerEntries]) as ValueMap
}

function valueAt(node: YamlNode | undefined, source: VariableSource): Value | undefined {
  return node === undefined ? undefined : resolveNode(node, source)
}

function functionNameOf(
  node: YamlNode,
  { source, otherwise }: { readonly source: VariableSource; readonly otherwise: string },
): string {
  const said = asText(valueAt(node.get('name'), source))
  return said === '' ? otherwise : said
}

/** As the framework makes logical ids of names: `my-fn` → `MyDashfn`. */
export function logicalId(id: string): string {
  return `${id.charAt(0).toUpperCase()}${id.slice(1)}`.replaceAll('-', 'Dash').replaceAll('_', 'Underscore')
}
