import { resolve, dirname } from 'node:path'

import type { EventSource } from '../service/event-source.ts'
import { mapOf, numberOrNone, textOrNone } from './api-settings.ts'
import { busSource, scheduleSource, subscriptionParts, topicSource } from './event-rules.ts'
import { isServed } from './findings.ts'
import { mappingSource } from './mapping-source.ts'
import { pascalNames } from './pascal-case.ts'
import { nameInArn, subscription } from './resources.ts'
import { arnIn, arnNamed, functionOf, knownIn, setTo } from './terraform-arns.ts'
import { addInvokeSettings, addNotifications, addPlannedSchedule } from './terraform-blocks.ts'
import { first, nameOf, warnOfPlan, type PlanContext } from './terraform-context.ts'
import type { PlannedResource } from './terraform-plan.ts'
import { asText, type Value, type ValueMap } from './value.ts'

/** Queues, topics, rules and mappings of a plan, and what its functions say besides their code. */
export function addPlannedEvents(context: PlanContext): void {
  const { plan } = context
  for (const [type, add] of Object.entries(READERS))
    for (const resource of plan.resources(type)) add(context, resource)
  for (const type of UNREAD) {
    const [one] = plan.resources(type)
    if (one !== undefined) warnOfPlan(context, `${type} is not read from a plan: ${one.address}`)
  }
}

/** What would bring events, and is not read. */
const UNREAD = [
  'aws_cloudwatch_log_subscription_filter', 'aws_pipes_pipe',
] // prettier-ignore

const READERS: Readonly<Record<string, (context: PlanContext, resource: PlannedResource) => void>> = {
  aws_lambda_function: addSettings,
  aws_sqs_queue: addQueue,
  aws_sns_topic: ({ findings }, { values, name }) => {
    const said = values['content_based_deduplication']
    const content = typeof said === 'boolean' ? { contentBasedDeduplication: said } : {}
    const topic = textOrNone(values['name']) ?? name
    findings.resources.push({ kind: 'topic', name: topic, subscriptions: [], ...content })
  },
  aws_cloudwatch_event_bus: ({ findings }, { values, name }) => {
    findings.resources.push({ kind: 'bus', name: textOrNone(values['name']) ?? name })
  },
  aws_sns_topic_subscription: addSubscription,
  aws_lambda_event_source_mapping: addMapping,
  aws_cloudwatch_event_target: addTarget,
  aws_lambda_alias: addAlias,
  aws_lambda_function_event_invoke_config: addInvokeSettings,
  aws_scheduler_schedule: addPlannedSchedule,
  aws_s3_bucket_notification: addNotifications,
  aws_lambda_provisioned_concurrency_config: (context, resource) => {
    const count = numberOrNone(resource.values['provisioned_concurrent_executions'])
    const name = functionOf(context, resource, 'function_name')
    if (name !== undefined && count !== undefined) setTo(context, { name, provisionedConcurrency: count })
  },
}

function addSource({ findings, node }: PlanContext, name: string, source: EventSource): void {
  findings.additions.push({ function: name, node, source })
}

function addSettings(context: PlanContext, resource: PlannedResource): void {
  const { values, expressions } = resource
  const name = nameOf(resource)
  if (!isServed(context.findings, name)) return
  const reserved = numberOrNone(values['reserved_concurrent_executions'])
  const dead = first(expressions['dead_letter_config'])
  const deadLetter =
    textOrNone(mapOf(first(values['dead_letter_config']))['target_arn']) ??
    arnNamed(context.plan.named(resource, mapOf(dead)['target_arn']))
  const layers = layersOf(context, resource)
  setTo(context, {
    name,
    reservedConcurrency: reserved === undefined || reserved < 0 ? undefined : reserved,
    deadLetter: deadLetter === '' ? undefined : deadLetter,
    layers: layers.length === 0 ? undefined : layers,
  })
}

/** Layers that the plan makes of folders, or of zip files that are there. */
function layersOf({ plan, file }: PlanContext, resource: PlannedResource): string[] {
  const references = mapOf(resource.expressions['layers'])['references']
  const names = Array.isArray(references) ? (references as readonly Value[]).map(asText) : []
  return plan.resources('aws_lambda_layer_version').flatMap((layer) => {
    const isUsed =
      layer.module === resource.module && names.includes(`aws_lambda_layer_version.${layer.name}`)
    if (!isUsed) return []
    const archive = plan.referenced(layer, 'filename', 'archive_file')
    const path = textOrNone(archive?.values['source_dir'] ?? layer.values['filename'])
    return path === undefined ? [] : [resolve(dirname(file), path)]
  })
}

const QUEUE_ATTRIBUTES: Readonly<Record<string, string>> = {
  content_based_deduplication: 'ContentBasedDeduplication',
  delay_seconds: 'DelaySeconds',
  fifo_queue: 'FifoQueue',
  max_message_size: 'MaximumMessageSize',
  message_retention_seconds: 'MessageRetentionPeriod',
  receive_wait_time_seconds: 'ReceiveMessageWaitTimeSeconds',
  redrive_policy: 'RedrivePolicy',
  visibility_timeout_seconds: 'VisibilityTimeout',
}

function addQueue(context: PlanContext, resource: PlannedResource): void {
  const { values, expressions, name } = resource
  const said = Object.entries(QUEUE_ATTRIBUTES).flatMap(([argument, attribute]) => {
    const value = values[argument]
    return value === undefined || value === null || value === false
      ? []
      : [[attribute, asText(value)] as const]
  })
  // A policy that names another queue of the plan is known after apply; what SQS asks for besides, nobody can tell.
  const dead = context.plan.named(resource, expressions['redrive_policy'])
  const policy = { deadLetterTargetArn: arnNamed(dead), maxReceiveCount: RECEIVES }
  if (dead !== undefined && values['redrive_policy'] === undefined)
    warnOfPlan(context, `${resource.address}: maxReceiveCount is known after apply; here it is ${RECEIVES}`)
  context.findings.resources.push({
    kind: 'queue',
    name: textOrNone(values['name']) ?? name,
    attributes: {
      ...(dead === undefined ? {} : { RedrivePolicy: JSON.stringify(policy) }),
      ...Object.fromEntries(said),
    },
  })
}

const RECEIVES = 5

function addSubscription(context: PlanContext, resource: PlannedResource): void {
  const { values, address } = resource
  const topic = arnIn(context, resource, 'topic_arn')
  const settings = pascalNames(knownIn(values))
  const protocol = textOrNone(values['protocol'])
  if (protocol === 'lambda') {
    const name = functionOf(context, resource, 'endpoint')
    if (name !== undefined) addSource(context, name, topicSource(topic, settings, resource.name))
  } else if (protocol === 'sqs' || protocol === 'http' || protocol === 'https') {
    const endpoint = arnIn(context, resource, 'endpoint')
    const raw = values['raw_message_delivery'] === true ? { rawMessageDelivery: true } : {}
    const one = { protocol, endpoint, ...subscriptionParts(settings), ...raw } as const
    context.findings.resources.push(subscription(nameInArn(topic), one))
  } else warnOfPlan(context, `${address}: subscriptions by ${protocol ?? 'no protocol'} are not served`)
}

function addMapping(context: PlanContext, resource: PlannedResource): void {
  const { values } = resource
  const name = functionOf(context, resource, 'function_name')
  if (name === undefined) return
  const filters = mapOf(first(values['filter_criteria']))['filter']
  const patterns = Array.isArray(filters)
    ? (filters as readonly Value[]).map((one) => pascalNames(mapOf(one)))
    : []
  const settings: ValueMap = {
    ...pascalNames(knownIn(values)),
    ...(patterns.length === 0 ? {} : { FilterCriteria: { Filters: patterns } }),
    ScalingConfig: pascalNames(knownIn(mapOf(first(values['scaling_config'])))),
  }
  const arn = arnIn(context, resource, 'event_source_arn')
  const source = mappingSource(arn, settings, resource.name)
  if (source === undefined) warnOfPlan(context, `${resource.address}: "${arn}" is polled by nothing here`)
  else addSource(context, name, source)
}

function addTarget(context: PlanContext, resource: PlannedResource): void {
  const name = functionOf(context, resource, 'arn')
  const rule = context.plan.referenced(resource, 'rule', 'aws_cloudwatch_event_rule')
  if (name === undefined || rule === undefined) return
  const known = { ...resource.values, ...rule.values }
  const settings = pascalNames(
    Object.fromEntries(Object.entries(known).filter(([, value]) => value !== null)),
  )
  const bus = context.plan.named(rule, rule.expressions['event_bus_name'])
  const withBus = bus === undefined ? settings : { ...settings, EventBusName: arnNamed(bus) }
  if (settings['ScheduleExpression'] !== undefined)
    addSource(context, name, scheduleSource(settings, rule.name))
  if (settings['EventPattern'] !== undefined) addSource(context, name, busSource(withBus, rule.name))
}

function addAlias(context: PlanContext, resource: PlannedResource): void {
  const name = functionOf(context, resource, 'function_name')
  const alias = textOrNone(resource.values['name'])
  if (name !== undefined && alias !== undefined) setTo(context, { name, alias })
}
