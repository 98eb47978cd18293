import { BrokerError } from '../broker-error.ts'
import type { Input } from '../json-input.ts'
import type { Queue } from './queue.ts'
import type { SqsCall } from './sqs-call.ts'
import { integer, optional, required } from './sqs-input.ts'

/** One that is done: none takes longer than its request. */
export interface MoveTask {
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** Undefined when each message went back to where it came from. */
  readonly destination: string | undefined
  readonly moved: number
}

/** So many are listed at most, and kept. */
const LISTED_MAX = 10

/** At once, back to where each message came from, or to another queue. */
export function startMove({ queues, input }: SqsCall): Input {
  const source = sourceOf({ queues, input })
  const destination = optional(input, 'DestinationArn')
  const into = destination === undefined ? undefined : queues.find(destination)
  if (destination !== undefined && into === undefined) throw notFound()
  let moved = 0
  for (const message of source.waiting()) {
    const target = into ?? queues.find(message.deadLetterSource ?? '')
    if (target === undefined || target === source) continue
    source.remove(message)
    target.adopt({ ...message, receives: 0, firstReceivedAt: undefined }, undefined)
    moved += 1
  }
  const startedAt = Date.now()
  source.moves.unshift({ startedAt, destination: into?.arn, moved })
  source.moves.splice(LISTED_MAX)
  return { TaskHandle: Buffer.from(`${source.arn} ${startedAt}`).toString('base64') }
}

/** The latest first; one, unless more are asked for. */
export function listMoves({ queues, input }: SqsCall): Input {
  const source = sourceOf({ queues, input })
  const max = integer(input, 'MaxResults', { min: 1, max: LISTED_MAX }) ?? 1
  return {
    Results: source.moves.slice(0, max).map(({ startedAt, destination, moved }) => ({
      Status: 'COMPLETED',
      SourceArn: source.arn,
      DestinationArn: destination,
      ApproximateNumberOfMessagesMoved: moved,
      ApproximateNumberOfMessagesToMove: moved,
      StartedTimestamp: startedAt,
    })),
  }
}

function sourceOf({ queues, input }: Pick<SqsCall, 'queues' | 'input'>): Queue {
  const source = queues.find(required(input, 'SourceArn'))
  if (source === undefined) throw notFound()
  return source
}

function notFound(): BrokerError {
  const message = "The resource that you specified for the SourceArn parameter doesn't exist."
  return new BrokerError('ResourceNotFoundException', message)
}
