import type { EventSource } from '../service/event-source.ts'
import { ACCOUNT_ID } from '../definition.ts'
import { mapOf, textOrNone } from './api-settings.ts'
import { bucketSource, busSource, scheduleSource, subscriptionParts, topicSource } from './event-rules.ts'
import { warn, type Findings } from './findings.ts'
import { settled, valueOf } from './intrinsics.ts'
import { MAPPING_NAMES, mappingSource } from './mapping-source.ts'
import { nameInArn, subscription } from './resources.ts'
import type { Template } from './template.ts'
import type { ValueMap } from './value.ts'
import type { YamlNode } from './yaml-file.ts'

/** One of a function's `Events`. */
export interface SamEvent {
  /** The function's name. */
  readonly function: string
  /** The event's own. */
  readonly name: string
  readonly node: YamlNode
  readonly template: Template
  readonly findings: Findings
}

interface Kind {
  /** Properties that count here; others are told, unless they are of no consequence. */
  readonly names: readonly string[]
  source(settings: ValueMap, event: SamEvent): EventSource | undefined
}

/** Properties that change nothing of what a function is given. */
const OF_NO_CONSEQUENCE = new Set([
  'Description', 'Name', 'RuleName', 'GroupName', 'OmitName', 'RoleArn', 'PermissionsBoundary', 'Target', 'Tags', 'KmsKeyArn',
  'MetricsConfig', 'ProvisionedPollerConfig', 'QueueUrl', 'QueuePolicyLogicalId', 'Region', 'LogLevel',
]) // prettier-ignore

const BUS_NAMES = ['Pattern', 'EventBusName', 'Input', 'InputPath', 'DeadLetterConfig', 'State', 'Enabled']

const KINDS: Readonly<Record<string, Kind>> = {
  SQS: polled('Queue'),
  Kinesis: polled('Stream'),
  DynamoDB: polled('Stream'),
  Schedule: {
    names: ['Schedule', 'Input', 'Enabled', 'State'],
    source: (settings, { name }) => scheduleSource(settings, name),
  },
  ScheduleV2: {
    names: ['ScheduleExpression', 'ScheduleExpressionTimezone', 'Input', 'State'],
    source: (settings, { name }) => scheduleSource(settings, name),
  },
  EventBridgeRule: { names: BUS_NAMES, source: ruleSource },
  CloudWatchEvent: { names: BUS_NAMES, source: ruleSource },
  SNS: {
    names: ['Topic', 'FilterPolicy', 'FilterPolicyScope', 'RedrivePolicy', 'SqsSubscription'],
    source: snsSource,
  },
  S3: {
    names: ['Bucket', 'Events', 'Filter'],
    source: (settings, { name }) =>
      bucketSource(nameInArn(textOrNone(settings['Bucket']) ?? ''), settings, name),
  },
}

/** Takes an event that comes from no API; false when nothing here sends its kind. */
export function addSamSource(type: string, event: SamEvent): boolean {
  const kind = Object.hasOwn(KINDS, type) ? KINDS[type] : undefined
  if (kind === undefined) return false
  const { template, findings } = event
  const properties = settled(event.node.get('Properties'), template)
  const settings = mapOf(properties === undefined ? undefined : valueOf(properties, template))
  const source = kind.source(settings, event)
  if (source !== undefined) findings.additions.push({ function: event.function, node: event.node, source })
  const others = (properties?.entries() ?? []).filter(
    ([name]) => !kind.names.includes(name) && !OF_NO_CONSEQUENCE.has(name) && isSaid(settings[name]),
  )
  for (const [name, node] of others)
    warn(findings, node, `${event.function}: ${name} of ${type} events does nothing here`)
  return true
}

/** A window in which a schedule may be late is on time. */
function isSaid(value: ValueMap[string] | undefined): boolean {
  return value !== undefined && mapOf(value)['Mode'] !== 'OFF'
}

function polled(arnName: string): Kind {
  return {
    names: [arnName, ...MAPPING_NAMES],
    source: (settings, event) => {
      const arn = textOrNone(settings[arnName]) ?? ''
      const found = mappingSource(arn, settings, event.name)
      if (found === undefined)
        warn(
          event.findings,
          event.node,
          `${event.function}: ${arnName} "${arn}" is no ARN; nothing is polled`,
        )
      return found
    },
  }
}

function ruleSource(settings: ValueMap, event: SamEvent): EventSource {
  const { Type: type, QueueLogicalId: id } = mapOf(settings['DeadLetterConfig'])
  // SAM makes the queue when it is told its type alone.
  const own = type === undefined ? settings : { ...settings, DeadLetterConfig: { Arn: madeQueue(event, id) } }
  return busSource(own, event.name)
}

function madeQueue(event: SamEvent, id: ValueMap[string] | undefined): string {
  return queueMade(event, textOrNone(id) ?? `${event.function}${event.name}Queue`)
}

/** Declares a queue that SAM would make. @returns its ARN. */
function queueMade({ findings, template }: Pick<SamEvent, 'findings' | 'template'>, name: string): string {
  findings.resources.push({ kind: 'queue', name, attributes: {} })
  return `arn:aws:sqs:${template.region}:${ACCOUNT_ID}:${name}`
}

/** With `SqsSubscription` a queue stands between the topic and the function. */
function snsSource(settings: ValueMap, event: SamEvent): EventSource | undefined {
  const topic = textOrNone(settings['Topic']) ?? ''
  const { SqsSubscription: between } = settings
  if (between === undefined || between === false || between === 'false')
    return topicSource(topic, settings, event.name)
  const options = mapOf(between)
  const queue = textOrNone(options['QueueArn']) ?? queueMade(event, `${event.function}${event.name}Queue`)
  const parts = subscriptionParts(settings)
  event.findings.resources.push(subscription(topic, { protocol: 'sqs', endpoint: queue, ...parts }))
  return mappingSource(queue, options, event.name)
}
