import type { AbsolutePath } from '../../../core/place.ts'
import type { Findings } from './findings.ts'
import { valueOf } from './intrinsics.ts'
import { resolvedNode } from './resolved-node.ts'
import type { Template } from './template.ts'
import { resolveNode, type VariableSource } from './variables.ts'
import type { Value } from './value.ts'
import type { YamlNode } from './yaml-file.ts'

/** A service of the Serverless Framework: what all its functions have in common. */
export interface Service {
  readonly source: VariableSource
  readonly findings: Findings
  readonly directory: AbsolutePath
  readonly stage: string
  readonly name: string
  readonly functions: readonly (readonly [id: string, node: YamlNode])[]
  /** Its `resources`, its functions and layers, for what refers to them. */
  readonly template: Template
}

/** The value of a node with its variables and what CloudFormation would work out; undefined is `AWS::NoValue`, or no node. */
export function settledValue({ source, template }: Service, node: YamlNode | undefined): Value | undefined {
  return node === undefined ? undefined : valueOf(resolvedNode(node, source), template)
}

/** The same with the variables alone. */
export function valueIn(service: Service, node: YamlNode | undefined): Value | undefined {
  return node === undefined ? undefined : resolveNode(node, service.source)
}

/** A function, while its events are read. */
export interface EventContext {
  /** The function's name. */
  readonly name: string
  readonly node: YamlNode
  readonly service: Service
}
