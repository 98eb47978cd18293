import type { AbsolutePath } from '../../../core/place.ts'
import { textOrNone } from './api-settings.ts'
import { functionName, warn, type Findings } from './findings.ts'
import type { Plan, PlannedResource } from './terraform-plan.ts'
import type { Value } from './value.ts'
import type { YamlNode } from './yaml-file.ts'

export interface PlanContext {
  readonly plan: Plan
  readonly findings: Findings
  readonly file: AbsolutePath
  /** The start of the file: a plan is one line, so messages name addresses. */
  readonly node: YamlNode
}

export function warnOfPlan({ findings, node }: PlanContext, message: string, hint?: string): void {
  warn(findings, node, message, hint)
}

/** What the address of a resource ends in: `module.a.aws_lambda_function.hello["x"]` → `hello-x`, unless it has a name. */
export function nameOf({ name, address, values }: PlannedResource): string {
  const index = /\[(.+)\]$/.exec(address)?.[1]?.replaceAll('"', '')
  const said = textOrNone(values['function_name'])
  return functionName(said ?? (index === undefined ? name : `${name}-${index}`))
}

/** Blocks are lists in a plan. */
export function first(block: Value | undefined): Value | undefined {
  return Array.isArray(block) ? (block[0] as Value | undefined) : block
}
