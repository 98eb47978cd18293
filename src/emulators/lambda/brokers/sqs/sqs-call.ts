import type { Queue } from './queue.ts'
import type { QueueRegistry } from './queues.ts'
import type { Input } from '../json-input.ts'

/** One request of SQS's API. */
export interface SqsCall {
  readonly input: Input
  readonly queues: QueueRegistry
  /** The one that `QueueUrl` names. @throws BrokerError MissingParameter, QueueDoesNotExist. */
  readonly queue: () => Queue
  readonly urlOf: (name: string) => string
  /** Aborts when the client goes. */
  readonly signal: AbortSignal
}

export type SqsAction = (call: SqsCall) => Input | Promise<Input>
