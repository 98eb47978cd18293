import type { EventSource } from '../service/event-source.ts'
import { listOrNone, mapOf, textOrNone } from './api-settings.ts'
import { bucketSource, busSource, scheduleSource, topicSource } from './event-rules.ts'
import { warn } from './findings.ts'
import { mappingSource } from './mapping-source.ts'
import { pascalNames } from './pascal-case.ts'
import { settledValue, type EventContext } from './service.ts'
import { asText, type Value, type ValueMap } from './value.ts'
import { ACCOUNT_ID } from '../definition.ts'
import type { YamlNode } from './yaml-file.ts'

type MakeSources = (value: Value, context: EventContext, node: YamlNode) => readonly EventSource[]

/** The events that come from no API, by what the file calls them. */
const KINDS: Readonly<Record<string, MakeSources>> = {
  schedule: schedules,
  stream: mapping,
  sqs: mapping,
  sns,
  s3,
  eventBridge,
  cloudwatchEvent: (value) => {
    const settings = mapOf(value)
    return [busSource({ ...pascalNames(settings), EventPattern: settings['event'] ?? null })]
  },
}

/** Takes an event; false when nothing here sends its kind. */
export function addServerlessSource(kind: string, context: EventContext, node: YamlNode): boolean {
  const make = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined
  if (make === undefined) return false
  const { service, name } = context
  const value = settledValue(service, node) ?? null
  for (const source of make(value, context, node))
    service.findings.additions.push({ function: name, node, source })
  for (const part of IDLE) {
    const found = node.get(part)
    if (found !== undefined)
      warn(service.findings, found, `${name}: ${part} of ${kind} events does nothing here`)
  }
  return true
}

/** Parts that change what a function is given, or when. */
const IDLE = ['inputTransformer', 'retryPolicy', 'consumer']

/** `rate(5 minutes)`, or an object whose `rate` may be a list. */
function schedules(value: Value): EventSource[] {
  const settings = mapOf(value)
  const rates = textOrNone(value) === undefined ? listOrNone(settings['rate']) : [asText(value)]
  const named = pascalNames(settings)
  return (rates ?? ['']).map((rate) =>
    scheduleSource({
      ...named,
      ScheduleExpression: rate,
      ...(settings['timezone'] === undefined ? {} : { ScheduleExpressionTimezone: settings['timezone'] }),
    }),
  )
}

/** An ARN, or an object with `arn`. */
function mapping(value: Value, { name, service }: EventContext, node: YamlNode): EventSource[] {
  const settings = mapOf(value)
  const arn = textOrNone(settings['arn'] ?? value) ?? ''
  const source = mappingSource(arn, mappingSettings(settings, arn))
  if (source !== undefined) return [source]
  warn(service.findings, node, `${name}: "${arn}" is no ARN of a queue or stream; nothing is polled`)
  return []
}

function mappingSettings(settings: ValueMap, arn: string): ValueMap {
  const patterns = settings['filterPatterns']
  const window = settings['maximumBatchingWindow'] ?? settings['batchWindow']
  const onFailure = mapOf(settings['destinations'])['onFailure']
  const types = settings['functionResponseType']
  return {
    // The framework's own default.
    ...(arn.includes(':sqs:') ? {} : { StartingPosition: 'TRIM_HORIZON' }),
    ...pascalNames(settings),
    ...(window === undefined ? {} : { MaximumBatchingWindowInSeconds: window }),
    ...(types === undefined ? {} : { FunctionResponseTypes: [types] }),
    ...(Array.isArray(patterns)
      ? { FilterCriteria: { Filters: (patterns as readonly Value[]).map((Pattern) => ({ Pattern })) } }
      : {}),
    ...(settings['maximumConcurrency'] === undefined
      ? {}
      : { ScalingConfig: { MaximumConcurrency: settings['maximumConcurrency'] } }),
    ...(onFailure === undefined
      ? {}
      : { DestinationConfig: { OnFailure: { Destination: mapOf(onFailure)['arn'] ?? onFailure } } }),
  }
}

/** A topic's name or ARN, or an object with `arn` or `topicName`. */
function sns(value: Value, { service }: EventContext): EventSource[] {
  const settings = mapOf(value)
  const topic = textOrNone(settings['arn'] ?? settings['topicName'] ?? value) ?? ''
  const redrive = mapOf(settings['redrivePolicy'])
  const reference = textOrNone(redrive['deadLetterTargetRef'])
  const arn = `arn:aws:sqs:${service.template.region}:${ACCOUNT_ID}:${reference ?? ''}`
  const policy = reference === undefined ? redrive : { deadLetterTargetArn: arn }
  if (!topic.startsWith('arn:') && topic !== '')
    service.findings.resources.push({ kind: 'topic', name: topic, subscriptions: [] })
  return [topicSource(topic, { ...pascalNames(settings), RedrivePolicy: policy })]
}

/** A bucket's name, or an object with `bucket`, `event` and `rules`. */
function s3(value: Value): EventSource[] {
  const settings = mapOf(value)
  const bucket = textOrNone(settings['bucket'] ?? value) ?? ''
  const rules = Array.isArray(settings['rules']) ? (settings['rules'] as readonly Value[]).map(mapOf) : []
  const pairs = rules.flatMap((rule) => Object.entries(rule).map(([Name, Value]) => ({ Name, Value })))
  const Events = settings['event'] ?? 's3:ObjectCreated:*'
  return [bucketSource(bucket, { Events, Filter: { S3Key: { Rules: pairs } } })]
}

/** A rule of a bus; `schedule` and `pattern` may both be there. */
function eventBridge(value: Value): EventSource[] {
  const settings = mapOf(value)
  const bus = settings['eventBus']
  const dead = settings['deadLetterQueueArn']
  const named: ValueMap = {
    ...pascalNames(settings),
    ...(bus === undefined ? {} : { EventBusName: bus }),
    ...(dead === undefined ? {} : { DeadLetterConfig: { Arn: dead } }),
  }
  const schedule = textOrNone(settings['schedule'])
  return [
    ...(schedule === undefined ? [] : [scheduleSource({ ...named, ScheduleExpression: schedule })]),
    ...(settings['pattern'] === undefined && schedule !== undefined ? [] : [busSource(named)]),
  ]
}
