import type { BucketSource, EventSource, TopicSource } from '../service/event-source.ts'
import type { RuleResource } from '../service/resource.ts'
import { listOrNone, mapOf, textOrNone } from './api-settings.ts'
import { isTrue, jsonOf, withoutNone } from './source-values.ts'
import type { Value, ValueMap } from './value.ts'

/** Whether something with a `State`, or in older words `Enabled`, does anything; undefined when it does not say. */
function enabledIn(settings: ValueMap): boolean | undefined {
  const said = settings['State'] ?? settings['Enabled']
  return said === undefined || said === null ? undefined : isTrue(said)
}

/** A schedule, as a rule's `ScheduleExpression` or SAM's `Schedule` has it. */
export function scheduleSource(settings: ValueMap, name?: string): EventSource {
  return withoutNone<EventSource>({
    type: 'schedule',
    expression: textOrNone(settings['ScheduleExpression'] ?? settings['Schedule']) ?? '',
    timezone: textOrNone(settings['ScheduleExpressionTimezone']),
    input: jsonOf(settings['Input']),
    name: textOrNone(settings['Name']) ?? name,
    enabled: enabledIn(settings),
  })
}

/** What a rule of a bus hands over: `Pattern` and `EventBusName` of the rule, `Input` and `InputPath` of its target. */
export function busSource(settings: ValueMap, name?: string): EventSource {
  const pattern = jsonOf(settings['EventPattern'] ?? settings['Pattern'])
  return withoutNone<EventSource>({
    type: 'events',
    // Whatever else it is, is told as a fault later.
    pattern: pattern as Readonly<Record<string, unknown>>,
    bus: textOrNone(settings['EventBusName']),
    input: jsonOf(settings['Input']),
    inputPath: textOrNone(settings['InputPath']),
    deadLetter: deadLetterIn(settings),
    name: textOrNone(settings['RuleName'] ?? settings['Name']) ?? name,
    enabled: enabledIn(settings),
  })
}

/** A rule whose targets are queues, topics, buses, or functions whose event is made of a template. */
export function ruleResource(settings: ValueMap, targets: readonly ValueMap[], id: string): RuleResource {
  return withoutNone<RuleResource>({
    kind: 'rule',
    name: textOrNone(settings['Name']) ?? id,
    bus: textOrNone(settings['EventBusName']),
    pattern: jsonOf(settings['EventPattern']) as RuleResource['pattern'],
    schedule: textOrNone(settings['ScheduleExpression']),
    enabled: enabledIn(settings),
    targets,
  })
}

function deadLetterIn(settings: ValueMap): string | undefined {
  const arn = textOrNone(mapOf(settings['DeadLetterConfig'])['Arn'])
  return arn === '' ? undefined : arn
}

/** A subscription: `FilterPolicy`, `FilterPolicyScope` and `RedrivePolicy`. */
export function topicSource(topic: string, settings: ValueMap, name?: string): EventSource {
  return withoutNone<EventSource>({ type: 'sns', topic, ...subscriptionParts(settings), name })
}

/** What subscriptions of all protocols may say. */
export function subscriptionParts(
  settings: ValueMap,
): Pick<TopicSource, 'filterPolicy' | 'filterPolicyScope' | 'deadLetter'> {
  const redrive = mapOf(jsonOf(settings['RedrivePolicy']) as Value)
  return {
    filterPolicy: jsonOf(settings['FilterPolicy']) as TopicSource['filterPolicy'],
    filterPolicyScope: textOrNone(settings['FilterPolicyScope']) as TopicSource['filterPolicyScope'],
    deadLetter: textOrNone(redrive['deadLetterTargetArn']),
  }
}

/** `Filter: { S3Key: { Rules: [{ Name: prefix, Value: images/ }] } }` */
export function bucketSource(bucket: string, settings: ValueMap, name?: string): EventSource {
  const rules = mapOf(mapOf(settings['Filter'])['S3Key'])['Rules']
  return withoutNone<BucketSource>({
    type: 's3',
    bucket,
    events: listOrNone(settings['Events'] ?? settings['Event']) ?? [],
    prefix: ruleOf(rules, 'prefix'),
    suffix: ruleOf(rules, 'suffix'),
    name,
  })
}

function ruleOf(rules: Value | undefined, name: string): string | undefined {
  const list = Array.isArray(rules) ? (rules as readonly Value[]).map(mapOf) : []
  const found = list.find((rule) => textOrNone(rule['Name'])?.toLowerCase() === name)
  const value = textOrNone(found?.['Value'])
  return value === '' ? undefined : value
}
