import type { MessageAttribute } from '../../service/queue.ts'

/** A message in its queue. Times are milliseconds since the epoch. */
export interface StoredMessage {
  readonly id: string
  readonly body: string
  readonly bodyMd5: string
  readonly attributes: Readonly<Record<string, MessageAttribute>>
  readonly sentAt: number
  readonly groupId: string | undefined
  readonly deduplicationId: string | undefined
  /** FIFO queues. */
  readonly sequence: string | undefined
  /** X-Ray's header. */
  readonly trace: string | undefined
  /** ARN of the queue that gave it up. */
  readonly deadLetterSource: string | undefined
  receives: number
  /** Of those, by other queues before it came here. */
  readonly receivesBefore: number
  firstReceivedAt: number | undefined
  /** `held` by who received it. */
  state: 'ready' | 'delayed' | 'held' | 'gone'
  /** When it is ready, while it is delayed or held. */
  dueAt: number
}
