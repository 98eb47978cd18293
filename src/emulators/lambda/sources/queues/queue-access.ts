import { ACCOUNT_ID } from '../../definition.ts'
import type { QueueMessage } from '../../service/queue.ts'
import type { Queues } from '../../service/service.ts'

/** A queue, as its poller uses it: flexi's own, or one behind a URL. */
export interface QueueAccess {
  readonly arn: string
  readonly region: string
  /** At most ten; none after `waitMs`, or when `signal` aborts. */
  receive(options: {
    readonly max: number
    readonly waitMs: number
    readonly signal: AbortSignal
  }): Promise<readonly QueueMessage[]>
  remove(receipts: readonly string[]): Promise<void>
  /** Makes messages visible again, for whoever asks next. */
  release(receipts: readonly string[]): Promise<void>
}

/** SQS's default. */
const VISIBILITY_SECONDS = 30
/** What one request of SQS takes. */
export const REQUEST_MESSAGES_MAX = 10

/** `orders` of `orders`, its ARN or its URL. */
export function queueName(queue: string): string {
  return queue.split(/[:/]/).at(-1) ?? queue
}

export function queueArn(queue: string, region: string): string {
  return queue.startsWith('arn:') ? queue : `arn:aws:sqs:${region}:${ACCOUNT_ID}:${queueName(queue)}`
}

export function regionOfArn(arn: string, region: string): string {
  const [, , , own = ''] = arn.split(':')
  return own === '' ? region : own
}

/** A queue of this process. It is made when nobody has declared it: its messages stay hidden for `timeoutMs` at least. */
export function ownQueue(
  queues: Queues,
  queue: string,
  { region, timeoutMs = 0 }: { readonly region: string; readonly timeoutMs?: number | undefined },
): QueueAccess {
  const arn = queueArn(queue, region)
  const name = queueName(queue)
  const hiddenSeconds = Math.max(VISIBILITY_SECONDS, Math.ceil(timeoutMs / 1000))
  if (!queues.has(name)) queues.ensure(name, { VisibilityTimeout: String(hiddenSeconds) })
  return {
    arn,
    region: regionOfArn(arn, region),
    receive: (options) => queues.receive(name, options),
    remove: (receipts) => queues.remove(name, receipts),
    release: (receipts) => queues.changeVisibility(name, receipts, 0),
  }
}
