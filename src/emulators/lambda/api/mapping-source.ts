import type { EventSource, QueueSource, StreamSource } from '../service/event-source.ts'
import type { SourceMapping } from '../sources/source-entry.ts'
import { Input, isRecord } from './input.ts'
import type { MappingState } from './state.ts'

/** What is started of the API's mappings. */
export function sourceMappings(mappings: Readonly<Record<string, MappingState>>): readonly SourceMapping[] {
  return Object.entries(mappings).map(([uuid, mapping]) => ({
    uuid,
    function: mapping.function,
    source: sourceOf(mapping),
  }))
}

/** `sqs`, `kinesis`, `dynamodb`; undefined for what has no events here. */
export function sourceType(arn: string): 'sqs' | 'kinesis' | 'dynamodb' | undefined {
  const service = /^arn:[^:]+:(sqs|kinesis|dynamodb):/.exec(arn)?.[1]
  return service === 'sqs' || service === 'kinesis' || service === 'dynamodb' ? service : undefined
}

/** @throws ApiError for members of another type than the API says. */
export function sourceOf({ members, enabled }: MappingState): EventSource {
  const input = new Input(members)
  const arn = input.text('EventSourceArn') ?? ''
  const type = sourceType(arn) ?? 'sqs'
  const common = {
    enabled,
    batchSize: number(members, 'BatchSize'),
    window: number(members, 'MaximumBatchingWindowInSeconds'),
    filters: filtersOf(input),
    reportBatchItemFailures:
      input.texts('FunctionResponseTypes')?.includes('ReportBatchItemFailures') ?? undefined,
  }
  if (type === 'sqs') {
    const scaling = input.child('ScalingConfig')?.raw('MaximumConcurrency')
    const maximumConcurrency = typeof scaling === 'number' ? scaling : undefined
    return { type, queue: arn, ...common, maximumConcurrency } satisfies QueueSource
  }
  return {
    type,
    stream: arn,
    ...common,
    startingPosition: input.choice('StartingPosition', ['TRIM_HORIZON', 'LATEST', 'AT_TIMESTAMP']),
    startingPositionTimestamp: number(members, 'StartingPositionTimestamp'),
    maximumRetryAttempts: number(members, 'MaximumRetryAttempts'),
    maximumRecordAge: number(members, 'MaximumRecordAgeInSeconds'),
    bisectBatchOnError: input.flag('BisectBatchOnFunctionError'),
    parallelizationFactor: number(members, 'ParallelizationFactor'),
    tumblingWindow: number(members, 'TumblingWindowInSeconds'),
    onFailure: input.child('DestinationConfig')?.child('OnFailure')?.text('Destination'),
  } satisfies StreamSource
}

type Pattern = Readonly<Record<string, unknown>>

/** Patterns come as JSON text. @throws Error that says why one is none. */
export function filtersOf(input: Input): QueueSource['filters'] {
  const filters = input.child('FilterCriteria')?.raw('Filters')
  if (!Array.isArray(filters)) return undefined
  return filters.map((filter: { readonly Pattern?: string }) => patternOf(filter.Pattern ?? '{}'))
}

function patternOf(text: string): Pattern {
  const pattern: unknown = JSON.parse(text)
  if (isRecord(pattern)) return pattern
  throw new Error(`${text} is no object`)
}

function number(members: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = members[name]
  return typeof value === 'number' ? value : undefined
}

const USUAL_BATCH = { sqs: 10, kinesis: 100, dynamodb: 100 } as const
const KINDS = { sqs: '', kinesis: 'stream/', dynamodb: 'table/' } as const

/** What the project's files say of a source, as the API shows it. */
export function declaredMembers(
  source: QueueSource | StreamSource,
  arnOf: (service: string, rest: string) => string,
): Readonly<Record<string, unknown>> {
  const { type, batchSize = USUAL_BATCH[type], window = 0, reportBatchItemFailures } = source
  const named = type === 'sqs' ? source.queue : source.stream
  const filters = source.filters?.map((pattern) => ({ Pattern: JSON.stringify(pattern) }))
  return {
    EventSourceArn: named.startsWith('arn:') ? named : arnOf(type, KINDS[type] + named),
    BatchSize: batchSize,
    MaximumBatchingWindowInSeconds: window,
    FunctionResponseTypes: reportBatchItemFailures === true ? ['ReportBatchItemFailures'] : [],
    ...(filters === undefined ? {} : { FilterCriteria: { Filters: filters } }),
    ...(type === 'sqs' ? {} : { StartingPosition: source.startingPosition ?? 'LATEST' }),
  }
}
