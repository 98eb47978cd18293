import type { EventSource, StreamSource } from '../service/event-source.ts'
import { listOrNone, mapOf, numberOrNone, textOrNone } from './api-settings.ts'
import { isTrue, jsonOf, withoutNone } from './source-values.ts'
import type { Value, ValueMap } from './value.ts'

/** What an event source mapping may say, as CloudFormation calls it. */
export const MAPPING_NAMES = [
  'BatchSize', 'BisectBatchOnFunctionError', 'DestinationConfig', 'Enabled', 'FilterCriteria', 'FunctionResponseTypes',
  'MaximumBatchingWindowInSeconds', 'MaximumRecordAgeInSeconds', 'MaximumRetryAttempts', 'ParallelizationFactor', 'ScalingConfig',
  'StartingPosition', 'StartingPositionTimestamp', 'TumblingWindowInSeconds',
] as const // prettier-ignore

/** What polls the queue or stream of that ARN; undefined when it is of another service. */
export function mappingSource(arn: string, settings: ValueMap, name?: string): EventSource | undefined {
  const service = /^arn:[\w-]+:([\w-]+):/.exec(arn)?.[1]
  if (service === 'sqs') {
    const maximumConcurrency = numberOrNone(mapOf(settings['ScalingConfig'])['MaximumConcurrency'])
    return withoutNone<EventSource>({
      type: 'sqs',
      queue: arn,
      name,
      ...polled(settings),
      maximumConcurrency,
    })
  }
  if (service !== 'kinesis' && service !== 'dynamodb') return undefined
  const stream = streamName(arn)
  return withoutNone<EventSource>({ type: service, stream, name, ...polled(settings), ...streamed(settings) })
}

function polled(settings: ValueMap) {
  const reports = listOrNone(settings['FunctionResponseTypes'])?.includes('ReportBatchItemFailures')
  const { Filters: filters } = mapOf(settings['FilterCriteria'])
  return {
    enabled: settings['Enabled'] === undefined ? undefined : isTrue(settings['Enabled']),
    batchSize: numberOrNone(settings['BatchSize']),
    window: numberOrNone(settings['MaximumBatchingWindowInSeconds']),
    filters: filtersOf(filters),
    reportBatchItemFailures: reports === true ? true : undefined,
  }
}

/** `[{ "Pattern": "{…}" }]`; what is no JSON stays a text, which is told as a fault later. */
function filtersOf(filters: Value | undefined): Readonly<Record<string, unknown>>[] | undefined {
  if (!Array.isArray(filters) || filters.length === 0) return undefined
  return (filters as readonly Value[]).map(
    (one) => jsonOf(mapOf(one)['Pattern']) as Readonly<Record<string, unknown>>,
  )
}

function streamed(settings: ValueMap): Partial<StreamSource> {
  const onFailure = mapOf(mapOf(settings['DestinationConfig'])['OnFailure'])['Destination']
  return {
    startingPosition: textOrNone(settings['StartingPosition']) as StreamSource['startingPosition'],
    startingPositionTimestamp: numberOrNone(settings['StartingPositionTimestamp']),
    maximumRetryAttempts: numberOrNone(settings['MaximumRetryAttempts']),
    maximumRecordAge: numberOrNone(settings['MaximumRecordAgeInSeconds']),
    bisectBatchOnError: isTrue(settings['BisectBatchOnFunctionError']) ? true : undefined,
    parallelizationFactor: numberOrNone(settings['ParallelizationFactor']),
    onFailure: textOrNone(onFailure),
    tumblingWindow: numberOrNone(settings['TumblingWindowInSeconds']),
  }
}

/** The stream is looked for where it really is; only its name is the same there. */
function streamName(arn: string): string {
  return /:(?:table|stream)\/([^/]+)/.exec(arn)?.[1] ?? arn
}
