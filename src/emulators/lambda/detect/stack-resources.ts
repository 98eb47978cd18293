import type { TopicSubscription } from '../service/resource.ts'
import { mapOf, textOrNone } from './api-settings.ts'
import {
  bucketSource,
  busSource,
  ruleResource,
  scheduleSource,
  subscriptionParts,
  topicSource,
} from './event-rules.ts'
import { isServed, warn, type Findings } from './findings.ts'
import { settled, valueOf } from './intrinsics.ts'
import { addInvokeConfig } from './invoke-config.ts'
import { isMade } from './made.ts'
import { MAPPING_NAMES, mappingSource } from './mapping-source.ts'
import { functionMeant, reference } from './references.ts'
import { nameInArn, subscription } from './resources.ts'
import { isTrue } from './source-values.ts'
import { resourcesOf, typeOf, type Template } from './template.ts'
import { asText, type Value, type ValueMap } from './value.ts'
import type { YamlNode } from './yaml-file.ts'

interface Context {
  readonly id: string
  readonly resource: YamlNode
  readonly template: Template
  readonly findings: Findings
}

/** What a template says of events in resources of their own: queues, topics, rules, mappings, and what CDK writes out. */
export function addStackResources(template: Template, findings: Findings): void {
  for (const [id, resource] of resourcesOf(template.root)) {
    const type = typeOf(resource)
    const add = Object.hasOwn(READERS, type) ? READERS[type] : undefined
    if (add !== undefined && isMade(resource, template)) add({ id, resource, template, findings })
  }
}

/** Types of which nothing is left that somebody would miss. Buckets are read for their notifications alone. */
export function isRead(type: string): boolean {
  return Object.hasOwn(READERS, type) && type !== 'AWS::S3::Bucket'
}

const READERS: Readonly<Record<string, (context: Context) => void>> = {
  'AWS::SQS::Queue': addQueue,
  'AWS::SNS::Topic': addTopic,
  'AWS::SNS::Subscription': addSubscription,
  'AWS::Events::EventBus': (context) => {
    context.findings.resources.push({ kind: 'bus', name: nameOf(context) })
  },
  'AWS::Events::Rule': addRule,
  'AWS::Scheduler::Schedule': addSchedule,
  'AWS::S3::Bucket': addBucket,
  'Custom::S3BucketNotifications': addBucketOfCdk,
  'AWS::Lambda::EventSourceMapping': addMapping,
  'AWS::Lambda::EventInvokeConfig': addEventInvokeConfig,
  'AWS::Lambda::Alias': addAlias,
}

/** Some properties of a resource, worked out; the others may refer to what has no value here. */
function picked({ resource, template }: Context, names: readonly string[]): ValueMap {
  const pairs = names.map((name) => {
    const node = settled(resource.at('Properties', name), template)
    return [name, node === undefined ? undefined : valueOf(node, template)] as const
  })
  return Object.fromEntries(pairs.filter((pair): pair is readonly [string, Value] => pair[1] !== undefined))
}

function nameOf({ id, resource, template }: Context): string {
  return nameInArn(asText(template.text(resource.at('Properties', 'Name')) ?? id))
}

const QUEUE_ATTRIBUTES = [
  'ContentBasedDeduplication', 'DeduplicationScope', 'DelaySeconds', 'FifoQueue', 'FifoThroughputLimit', 'MaximumMessageSize',
  'MessageRetentionPeriod', 'ReceiveMessageWaitTimeSeconds', 'RedriveAllowPolicy', 'RedrivePolicy', 'VisibilityTimeout',
] // prettier-ignore

function addQueue(context: Context): void {
  const { id, resource, template, findings } = context
  const url = asText(reference(id, template, resource))
  const attributes = Object.entries(picked(context, QUEUE_ATTRIBUTES)).map(
    ([name, value]) => [name, asText(value)] as const,
  )
  // False is what SQS has for a queue that says nothing, and takes no other word for.
  const said = attributes.filter(([name, value]) => name !== 'FifoQueue' || value === 'true')
  findings.resources.push({
    kind: 'queue',
    name: url.split('/').at(-1) ?? id,
    attributes: Object.fromEntries(said),
  })
}

function addTopic(context: Context): void {
  const { id, resource, template, findings } = context
  const topic = asText(reference(id, template, resource))
  const { ContentBasedDeduplication: said } = picked(context, ['ContentBasedDeduplication'])
  const content = said === undefined ? {} : { contentBasedDeduplication: isTrue(said) }
  findings.resources.push({ kind: 'topic', name: nameInArn(topic), subscriptions: [], ...content })
  for (const node of settled(resource.at('Properties', 'Subscription'), template)?.items() ?? [])
    subscribe(context, { topic, settings: mapOf(valueOf(node, template)), node })
}

function addSubscription(context: Context): void {
  const names = [
    'TopicArn',
    'Protocol',
    'Endpoint',
    'FilterPolicy',
    'FilterPolicyScope',
    'RawMessageDelivery',
    'RedrivePolicy',
  ]
  const settings = picked(context, names)
  subscribe(context, { topic: textOrNone(settings['TopicArn']) ?? '', settings, node: context.resource })
}

interface Subscribed {
  readonly topic: string
  readonly settings: ValueMap
  readonly node: YamlNode
}

function subscribe(context: Context, { topic, settings, node }: Subscribed): void {
  const { findings, id } = context
  const protocol = textOrNone(settings['Protocol'])
  const endpoint = textOrNone(settings['Endpoint']) ?? ''
  if (protocol === 'lambda') {
    const name = served(context, endpoint, `the subscription ${id}`)
    if (name !== undefined)
      findings.additions.push({ function: name, node, source: topicSource(topic, settings, id) })
    return
  }
  if (!isDelivered(protocol)) {
    warn(findings, node, `${id}: subscriptions by ${protocol ?? 'no protocol'} are not served`)
    return
  }
  const raw = isTrue(settings['RawMessageDelivery']) ? { rawMessageDelivery: true } : {}
  const parts = subscriptionParts(settings)
  findings.resources.push(subscription(topic, { protocol, endpoint, ...parts, ...raw }))
}

function isDelivered(protocol: string | undefined): protocol is TopicSubscription['protocol'] {
  return protocol === 'sqs' || protocol === 'http' || protocol === 'https'
}

/** The function of this file that an ARN means; a warning when it is none that runs. */
function served(context: Context, arn: string | undefined, what: string): string | undefined {
  const { findings, resource, template } = context
  const name = functionMeant(arn, template)
  if (isServed(findings, name)) return name
  warn(findings, resource, `${what} leads to no function that runs here`)
  return undefined
}

const RULE_NAMES = ['EventBusName', 'EventPattern', 'ScheduleExpression', 'State', 'Name']

function addRule(context: Context): void {
  const { id, resource, template, findings } = context
  const rule = picked(context, RULE_NAMES)
  const nodes = settled(resource.at('Properties', 'Targets'), template)?.items() ?? []
  const handed = nodes.map((node) => handedOver(context, rule, node)).filter((target) => target !== undefined)
  if (handed.length > 0) findings.resources.push(ruleResource(rule, handed, id))
}

/** The target where it is no source of a function: a queue, topic or bus, or a function whose event is made of a template. */
function handedOver(context: Context, rule: ValueMap, node: YamlNode): ValueMap | undefined {
  const { id, template, findings } = context
  const target = mapOf(valueOf(node, template))
  const arn = textOrNone(target['Arn'])
  if (target['RetryPolicy'] !== undefined)
    warn(findings, node.get('RetryPolicy') ?? node, `${id}: RetryPolicy of rules does nothing here`)
  if (/^arn:[^:]*:(?:sqs|sns|events):/.test(arn ?? '')) return target
  const name = served(context, arn, `a target of the rule ${id}`)
  if (name === undefined) return undefined
  if (target['InputTransformer'] !== undefined) return target
  const settings = { ...target, ...rule }
  if (rule['ScheduleExpression'] !== undefined)
    findings.additions.push({ function: name, node, source: scheduleSource(settings, id) })
  if (rule['EventPattern'] !== undefined)
    findings.additions.push({ function: name, node, source: busSource(settings, id) })
  return undefined
}

function addSchedule(context: Context): void {
  const { id, findings, resource } = context
  const settings = picked(context, [
    'ScheduleExpression',
    'ScheduleExpressionTimezone',
    'State',
    'Name',
    'Target',
  ])
  const target = mapOf(settings['Target'])
  for (const part of ['StartDate', 'EndDate'])
    if (resource.at('Properties', part) !== undefined)
      warn(
        findings,
        resource.at('Properties', part) ?? resource,
        `${id}: ${part} of schedules does nothing here`,
      )
  const name = served(context, textOrNone(target['Arn']), `the schedule ${id}`)
  if (name === undefined) return
  const { Input: input = null } = target
  const source = scheduleSource({ ...settings, ...(input === null ? {} : { Input: input }) }, id)
  findings.additions.push({ function: name, node: resource, source })
}

function addBucket(context: Context): void {
  const { id, resource, template, findings } = context
  const notifications = settled(resource.at('Properties', 'NotificationConfiguration'), template)
  const bucket = asText(reference(id, template, resource))
  for (const node of settled(notifications?.get('LambdaConfigurations'), template)?.items() ?? []) {
    const settings = mapOf(valueOf(node, template))
    const name = served(context, textOrNone(settings['Function']), `a notification of the bucket ${id}`)
    if (name !== undefined)
      findings.additions.push({ function: name, node, source: bucketSource(bucket, settings, id) })
  }
  for (const part of ['QueueConfigurations', 'TopicConfigurations']) {
    const node = notifications?.get(part)
    if (node !== undefined) warn(findings, node, `${id}: ${part} of buckets does nothing here`)
  }
}

/** CDK sets notifications by a function of its own, which is told in the words of S3's API. */
function addBucketOfCdk(context: Context): void {
  const { id, findings, resource } = context
  const settings = picked(context, ['BucketName', 'NotificationConfiguration'])
  const { LambdaFunctionConfigurations: list } = mapOf(settings['NotificationConfiguration'])
  for (const one of Array.isArray(list) ? (list as readonly Value[]).map(mapOf) : []) {
    const arn = textOrNone(one['LambdaFunctionArn'])
    const name = served(context, arn, `a notification of the bucket ${id}`)
    const rules = mapOf(mapOf(one['Filter'])['Key'])['FilterRules'] ?? []
    const bucket = nameInArn(textOrNone(settings['BucketName']) ?? '')
    const source = bucketSource(bucket, { ...one, Filter: { S3Key: { Rules: rules } } }, id)
    if (name !== undefined) findings.additions.push({ function: name, node: resource, source })
  }
}

function addMapping(context: Context): void {
  const { id, resource, findings } = context
  const settings = picked(context, ['EventSourceArn', 'FunctionName', ...MAPPING_NAMES])
  const name = served(context, textOrNone(settings['FunctionName']), `the event source mapping ${id}`)
  if (name === undefined) return
  const arn = textOrNone(settings['EventSourceArn']) ?? ''
  const source = mappingSource(arn, settings, id)
  if (source === undefined)
    warn(
      findings,
      resource.at('Properties', 'EventSourceArn') ?? resource,
      `${id}: "${arn}" is polled by nothing here`,
    )
  else findings.additions.push({ function: name, node: resource, source })
}

function addEventInvokeConfig(context: Context): void {
  const { id, resource, template, findings } = context
  const said = template.text(resource.at('Properties', 'FunctionName'))
  const name = served(context, said, `the event configuration ${id}`)
  if (name !== undefined)
    addInvokeConfig({ function: name, node: resource.get('Properties'), template, findings })
}

function addAlias(context: Context): void {
  const { id, resource, template, findings } = context
  const settings = picked(context, ['FunctionName', 'Name', 'ProvisionedConcurrencyConfig'])
  const name = served(context, textOrNone(settings['FunctionName']), `the alias ${id}`)
  if (name === undefined) return
  const alias = textOrNone(settings['Name'])
  const known = findings.additions.some(
    (one) => one.function === name && 'setting' in one && one.setting === 'alias',
  )
  if (known)
    warn(findings, resource, `${name} has an alias already; ${alias ?? id} is not there at the start`)
  else findings.additions.push({ function: name, node: resource, setting: 'alias', value: alias })
  const count = mapOf(settings['ProvisionedConcurrencyConfig'])['ProvisionedConcurrentExecutions']
  if (count !== undefined)
    findings.additions.push({
      function: name,
      node: resource,
      setting: 'provisionedConcurrency',
      value: Number(count),
    })
  if (template.text(resource.at('Properties', 'RoutingConfig')) !== undefined)
    warn(findings, resource, `${name}: all of the alias goes to one version`)
}
