import { isMet } from './intrinsics.ts'
import type { Template } from './template.ts'
import type { YamlNode } from './yaml-file.ts'

/** Whether a resource's condition holds. */
export function isMade(resource: YamlNode, template: Template): boolean {
  const condition = resource.get('Condition')
  return condition === undefined || isMet(String(condition.value), template, condition)
}
