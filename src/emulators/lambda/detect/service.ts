import type { AbsolutePath } from '../../../core/place.ts'
import type { Findings } from './findings.ts'
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
  readonly functions: readonly (readonly [id: string, node: YamlNode])[]
  /** Its `resources`, for what refers to them. */
  readonly template: Template
}

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
