import { mapOf, textOrNone } from './api-settings.ts'
import type { Value, ValueMap } from './value.ts'

/** A resource, or a data source, as it will be. */
export interface PlannedResource {
  /** `module.api.aws_lambda_function.hello["x"]` */
  readonly address: string
  readonly type: string
  readonly name: string
  readonly values: ValueMap
  /** What is known after apply: true in the places of values. */
  readonly unknown: ValueMap
  /** What its arguments are made of. */
  readonly expressions: ValueMap
  /** `module.api`; empty at the root. */
  readonly module: string
}

export interface Plan {
  resources(type: string): readonly PlannedResource[]
  /** The resource of that type that an argument refers to, in the same module. */
  referenced(
    resource: PlannedResource | undefined,
    argument: string,
    type: string,
  ): PlannedResource | undefined
  /** The first resource of the plan that an expression names, of whatever type. */
  named(resource: PlannedResource, expression: Value | undefined): PlannedResource | undefined
}

/** The JSON of `terraform show -json`; undefined when it is none. */
export function openPlan(text: string): Plan | undefined {
  const plan = parsed(text)
  if (plan === undefined) return undefined
  const expressions = new Map<string, ValueMap>()
  collectExpressions(mapOf(mapOf(plan['configuration'])['root_module']), '', expressions)
  const unknown = new Map(
    listIn(plan['resource_changes']).map((change) => [
      textOrNone(change['address']) ?? '',
      mapOf(mapOf(change['change'])['after_unknown']),
    ]),
  )
  const resources = [mapOf(mapOf(plan['prior_state'])['values']), mapOf(plan['planned_values'])]
    .flatMap((values) => resourcesIn(mapOf(values['root_module'])))
    .map((raw) => resourceOf(raw, { expressions, unknown }))
  // Planned values come later and win; prior ones are there for data that is read already.
  const byAddress = new Map(resources.map((resource) => [resource.address, resource]))
  const all = [...byAddress.values()]
  const byType = (type: string): PlannedResource[] => all.filter((one) => one.type === type)
  return {
    resources: byType,
    referenced(resource, argument, type) {
      if (resource === undefined) return undefined
      const names = referencesOf(resource.expressions[argument], type)
      const found = byType(type).filter((one) => one.module === resource.module && names.includes(one.name))
      return found.find((one) => indexOf(one) === indexOf(resource)) ?? found[0]
    },
    named(resource, expression) {
      const names = new Set(referencesIn(expression).map((one) => one.split('.').slice(0, 2).join('.')))
      const found = all.filter(
        (one) => one.module === resource.module && names.has(`${one.type}.${one.name}`),
      )
      return found.find((one) => indexOf(one) === indexOf(resource)) ?? found[0]
    },
  }
}

function parsed(text: string): ValueMap | undefined {
  try {
    return mapOf(JSON.parse(text) as Value)
  } catch {
    return undefined
  }
}

function listIn(value: Value | undefined): ValueMap[] {
  return Array.isArray(value) ? (value as readonly Value[]).map(mapOf) : []
}

interface RawResource {
  readonly raw: ValueMap
  readonly module: string
}

function resourcesIn(module: ValueMap): RawResource[] {
  const address = textOrNone(module['address']) ?? ''
  return [
    ...listIn(module['resources']).map((raw) => ({ raw, module: address })),
    ...listIn(module['child_modules']).flatMap(resourcesIn),
  ]
}

function resourceOf(
  { raw, module }: RawResource,
  {
    expressions,
    unknown,
  }: { expressions: ReadonlyMap<string, ValueMap>; unknown: ReadonlyMap<string, ValueMap> },
): PlannedResource {
  const address = textOrNone(raw['address']) ?? ''
  return {
    address,
    type: textOrNone(raw['type']) ?? '',
    name: textOrNone(raw['name']) ?? '',
    values: mapOf(raw['values']),
    unknown: unknown.get(address) ?? {},
    expressions: expressions.get(withoutIndexes(address)) ?? {},
    module,
  }
}

function withoutIndexes(address: string): string {
  return address.replace(/\[[^\]]*\]/g, '')
}

function indexOf({ address }: PlannedResource): string | undefined {
  return /\[([^\]]*)\]$/.exec(address)?.[1]
}

/** Arguments by the address that resources made of them have, less their indexes. */
function collectExpressions(module: ValueMap, prefix: string, found: Map<string, ValueMap>): void {
  for (const resource of listIn(module['resources']))
    found.set(`${prefix}${textOrNone(resource['address']) ?? ''}`, mapOf(resource['expressions']))
  for (const [name, call] of Object.entries(mapOf(module['module_calls'])))
    collectExpressions(mapOf(mapOf(call)['module']), `${prefix}module.${name}.`, found)
}

/** `["aws_lambda_function.hello.invoke_arn", "aws_lambda_function.hello"]` → `["hello", "hello"]` */
function referencesOf(expression: Value | undefined, type: string): string[] {
  return referencesIn(expression).flatMap((text) => {
    const match = new RegExp(`^(?:data\\.)?${type}\\.([\\w-]+)`).exec(text)
    return match?.[1] === undefined ? [] : [match[1]]
  })
}

function referencesIn(expression: Value | undefined): string[] {
  const references = mapOf(expression)['references']
  const texts = Array.isArray(references) ? (references as readonly Value[]).map(String) : []
  return texts.map((text) => withoutIndexes(text))
}
