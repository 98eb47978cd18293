import { invalidParameter } from './api-error.ts'
import type { Bounds, Input } from './input.ts'
import { sourceType } from './mapping-source.ts'

type Members = Readonly<Record<string, unknown>>

/** Numbers of a mapping: their bounds, and what counts when nobody says. */
type Numbers = Readonly<Record<string, { readonly bounds: Bounds; readonly usual: number }>>

const QUEUE_NUMBERS: Numbers = {
  BatchSize: { bounds: { min: 1, max: 10_000 }, usual: 10 },
  MaximumBatchingWindowInSeconds: { bounds: { min: 0, max: 300 }, usual: 0 },
}

const STREAM_NUMBERS: Numbers = {
  BatchSize: { bounds: { min: 1, max: 10_000 }, usual: 100 },
  MaximumBatchingWindowInSeconds: { bounds: { min: 0, max: 300 }, usual: 0 },
  ParallelizationFactor: { bounds: { min: 1, max: 10 }, usual: 1 },
  MaximumRetryAttempts: { bounds: { min: -1, max: 10_000 }, usual: -1 },
  MaximumRecordAgeInSeconds: { bounds: { min: -1, max: 604_800 }, usual: -1 },
  TumblingWindowInSeconds: { bounds: { min: 0, max: 900 }, usual: 0 },
}

const CONCURRENCY = { min: 2, max: 1000 }

/**
 * What a request says of a mapping, checked, with Lambda's defaults; `old` is what there is already.
 * @throws ApiError ValidationException, InvalidParameterValueException.
 */
export function mappingMembers(input: Input, arn: string, old: Members = {}): Members {
  const isQueue = sourceType(arn) === 'sqs'
  const members = {
    EventSourceArn: arn,
    ...numbers(input, old, isQueue ? QUEUE_NUMBERS : STREAM_NUMBERS),
    FunctionResponseTypes: input.texts('FunctionResponseTypes') ?? old['FunctionResponseTypes'] ?? [],
    ...(input.has('FilterCriteria') ? { FilterCriteria: input.raw('FilterCriteria') } : {}),
    ...(isQueue ? queueMembers(input) : streamMembers(input, old)),
  }
  if (isQueue) checkWindow(arn, members)
  return members
}

function numbers(input: Input, old: Members, table: Numbers): Members {
  const entries = Object.entries(table).map(([name, { bounds, usual }]) => [
    name,
    input.integer(name, bounds) ?? old[name] ?? usual,
  ])
  return Object.fromEntries(entries) as Members
}

function queueMembers(input: Input): Members {
  const scaling = input.child('ScalingConfig')
  const most = scaling?.integer('MaximumConcurrency', CONCURRENCY)
  return scaling === undefined
    ? {}
    : { ScalingConfig: most === undefined ? {} : { MaximumConcurrency: most } }
}

function checkWindow(arn: string, members: Members): void {
  if (Number(members['BatchSize']) <= 10) return
  if (arn.endsWith('.fifo')) throw invalidParameter('Maximum batch size for FIFO queues is 10.')
  if (members['MaximumBatchingWindowInSeconds'] === 0)
    throw invalidParameter(
      'Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10',
    )
}

function streamMembers(input: Input, old: Members): Members {
  const position = input.choice('StartingPosition', ['TRIM_HORIZON', 'LATEST', 'AT_TIMESTAMP'])
  const starting = position ?? old['StartingPosition']
  if (starting === undefined) throw input.missing('StartingPosition')
  const at = input.raw('StartingPositionTimestamp') ?? old['StartingPositionTimestamp']
  return {
    StartingPosition: starting,
    ...(at === undefined ? {} : { StartingPositionTimestamp: at }),
    BisectBatchOnFunctionError:
      input.flag('BisectBatchOnFunctionError') ?? old['BisectBatchOnFunctionError'] ?? false,
    DestinationConfig: input.raw('DestinationConfig') ?? old['DestinationConfig'] ?? { OnFailure: {} },
  }
}
