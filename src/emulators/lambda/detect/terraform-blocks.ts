import { functionOfArn, mapOf, numberOrNone, textOrNone } from './api-settings.ts'
import { bucketSource, scheduleSource } from './event-rules.ts'
import { isServed } from './findings.ts'
import { pascalNames } from './pascal-case.ts'
import { arnNamed, functionOf, knownIn, setTo } from './terraform-arns.ts'
import { first, warnOfPlan, type PlanContext } from './terraform-context.ts'
import type { PlannedResource } from './terraform-plan.ts'
import type { Value, ValueMap } from './value.ts'

/** One block of a resource: its values, and what its arguments are made of. */
interface Block {
  readonly values: ValueMap
  readonly expressions: ValueMap
}

function blocksOf({ values, expressions }: Block, name: string): Block[] {
  const written = listOf(expressions[name])
  return listOf(values[name]).map((one, index) => ({ values: one, expressions: written[index] ?? {} }))
}

function listOf(value: Value | undefined): ValueMap[] {
  return Array.isArray(value) ? (value as readonly Value[]).map(mapOf) : []
}

function arnAt(
  context: PlanContext,
  resource: PlannedResource,
  block: Block | undefined,
  name: string,
): string {
  const said = textOrNone(block?.values[name])
  return said ?? arnNamed(context.plan.named(resource, block?.expressions[name]))
}

/** `aws_lambda_function_event_invoke_config` */
export function addInvokeSettings(context: PlanContext, resource: PlannedResource): void {
  const name = functionOf(context, resource, 'function_name')
  if (name === undefined) return
  const [destinations] = blocksOf(resource, 'destination_config')
  const target = (kind: string): string | undefined => {
    const [block] = destinations === undefined ? [] : blocksOf(destinations, kind)
    const arn = arnAt(context, resource, block, 'destination')
    return arn === '' ? undefined : arn
  }
  setTo(context, {
    name,
    maximumRetryAttempts: numberOrNone(resource.values['maximum_retry_attempts']),
    maximumEventAge: numberOrNone(resource.values['maximum_event_age_in_seconds']),
    onSuccess: target('on_success'),
    onFailure: target('on_failure'),
  })
}

/** `aws_scheduler_schedule` */
export function addPlannedSchedule(context: PlanContext, resource: PlannedResource): void {
  const [target] = blocksOf(resource, 'target')
  const name = servedAt(context, resource, arnAt(context, resource, target, 'arn'))
  if (name === undefined) return
  const settings = pascalNames({
    ...knownIn(resource.values),
    ...knownIn(mapOf(first([target?.values ?? {}]))),
  })
  const source = scheduleSource(settings, resource.name)
  context.findings.additions.push({ function: name, node: context.node, source })
}

/** `aws_s3_bucket_notification` */
export function addNotifications(context: PlanContext, resource: PlannedResource): void {
  const bucket = textOrNone(resource.values['bucket']) ?? bucketNamed(context, resource)
  for (const block of blocksOf(resource, 'lambda_function')) {
    const name = servedAt(context, resource, arnAt(context, resource, block, 'lambda_function_arn'))
    const { events, filter_prefix: prefix, filter_suffix: suffix } = block.values
    const rules = [
      { Name: 'prefix', Value: prefix ?? '' },
      { Name: 'suffix', Value: suffix ?? '' },
    ]
    const source = bucketSource(
      bucket,
      { Events: events ?? [], Filter: { S3Key: { Rules: rules } } },
      resource.name,
    )
    if (name !== undefined) context.findings.additions.push({ function: name, node: context.node, source })
  }
}

function bucketNamed({ plan }: PlanContext, resource: PlannedResource): string {
  const bucket = plan.named(resource, resource.expressions['bucket'])
  return textOrNone(bucket?.values['bucket']) ?? bucket?.name ?? ''
}

function servedAt(context: PlanContext, resource: PlannedResource, arn: string): string | undefined {
  const name = functionOfArn(arn) ?? arn
  if (isServed(context.findings, name)) return name
  warnOfPlan(context, `${resource.address} leads to no function that runs here`)
  return undefined
}
