import type { Fault } from '../../../core/place.ts'
import type { YamlNode } from './yaml-file.ts'

/** A CloudFormation template, as far as its functions refer to it. */
export interface Template {
  readonly root: YamlNode
  readonly region: string
  readonly stackName: string
  /** Values of parameters that another file gives; they win over defaults. */
  readonly parameters: ReadonlyMap<string, string>
  /** What functions are called whose resources have names that nobody would want to type. */
  readonly names?: ReadonlyMap<string, string> | undefined
  /** Whether whatever has a name in it is also in it. What a tool adds at deployment is not. */
  readonly isWhole: boolean
  /** What each condition came to; undefined while it is being worked out. */
  readonly conditions: Map<string, boolean | undefined>
  /** The text that a node comes to; undefined for a list or a map. */
  text(node: YamlNode | undefined): string | undefined
  /** Takes what could not be resolved. */
  warn(fault: Fault): void
}

/** The resources of a template, by their names in it. */
export function resourcesOf(root: YamlNode): readonly (readonly [id: string, resource: YamlNode])[] {
  return root.get('Resources')?.entries() ?? []
}

/** `AWS::Lambda::Function`; empty when it has none. */
export function typeOf(resource: YamlNode | undefined): string {
  return String(resource?.get('Type')?.value ?? '')
}
