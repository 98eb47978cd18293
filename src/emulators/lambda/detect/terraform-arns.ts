import { ACCOUNT_ID, functionArn } from '../definition.ts'
import type { FunctionSettings } from '../service/function-settings.ts'
import { functionOfArn, textOrNone } from './api-settings.ts'
import { isServed } from './findings.ts'
import { nameOf, warnOfPlan, type PlanContext } from './terraform-context.ts'
import type { PlannedResource } from './terraform-plan.ts'
import type { ValueMap } from './value.ts'

const ARNS: Readonly<Record<string, readonly [service: string, prefix: string]>> = {
  aws_sqs_queue: ['sqs', ''],
  aws_sns_topic: ['sns', ''],
  aws_kinesis_stream: ['kinesis', 'stream/'],
  aws_dynamodb_table: ['dynamodb', 'table/'],
}

/** The value of an argument, or the ARN of what it refers to, which is known after apply. */
export function arnIn({ plan }: PlanContext, resource: PlannedResource, argument: string): string {
  const said = textOrNone(resource.values[argument])
  if (said !== undefined) return said
  return arnNamed(plan.named(resource, resource.expressions[argument]))
}

export function arnNamed(target: PlannedResource | undefined): string {
  if (target === undefined) return ''
  if (target.type === 'aws_lambda_function') return functionArn(nameOf(target), REGION)
  const [service, prefix = ''] = ARNS[target.type] ?? []
  const name = textOrNone(target.values['name']) ?? target.name
  return service === undefined ? name : `arn:aws:${service}:${REGION}:${ACCOUNT_ID}:${prefix}${name}`
}

/** A plan does not say it where it counts. */
const REGION = 'us-east-1'

export function functionOf(
  context: PlanContext,
  resource: PlannedResource,
  argument: string,
): string | undefined {
  const said = arnIn(context, resource, argument)
  const name = functionOfArn(said) ?? said
  if (isServed(context.findings, name)) return name
  warnOfPlan(context, `${resource.address} leads to no function that runs here`)
  return undefined
}

/** A plan has null for arguments that nobody wrote. */
export function knownIn(values: ValueMap): ValueMap {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== ''))
}

export function setTo(
  { findings, node }: PlanContext,
  { name, ...settings }: FunctionSettings & { readonly name: string },
): void {
  for (const [setting, value] of Object.entries(settings))
    if (value !== undefined)
      findings.additions.push({ function: name, node, setting: setting as keyof FunctionSettings, value })
}
