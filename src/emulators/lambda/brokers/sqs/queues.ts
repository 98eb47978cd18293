import type { QueueMessage, SendMessage } from '../../service/queue.ts'
import type { Queues, ReceiveOptions } from '../../service/service.ts'
import { arnOf } from '../arn.ts'
import type { StoredMessage } from './message.ts'
import { Queue } from './queue.ts'
import { parseReceipt, received } from './receipt.ts'
import {
  invalidParameter,
  invalidValue,
  notInFlight,
  queueDoesNotExist,
  queueNameExists,
} from './sqs-errors.ts'

/** All queues by name, for pollers of this process and for SQS's API. */
export class QueueRegistry implements Queues {
  readonly #queues = new Map<string, Queue>()
  readonly #region: string
  readonly #now: () => number

  constructor(options: { readonly region: string; readonly now: () => number }) {
    this.#region = options.region
    this.#now = options.now
  }

  names(): string[] {
    return [...this.#queues.keys()].toSorted()
  }

  ensure(name: string, attributes: Readonly<Record<string, string>> = {}): void {
    if (!this.#queues.has(name)) this.create(name, attributes)
  }

  /** One with the same attributes may be there already. @throws BrokerError QueueNameExists, InvalidParameterValue, … */
  create(name: string, attributes: Readonly<Record<string, string>>): Queue {
    checkName(name, attributes)
    const there = this.#queues.get(name)
    if (there !== undefined) {
      const has = there.attributes()
      const differs = Object.entries(attributes).find(([attribute, value]) => has[attribute] !== value)
      if (differs !== undefined) throw queueNameExists(differs[0])
      return there
    }
    const queue = new Queue({
      name,
      arn: arnOf('sqs', this.#region, name),
      attributes,
      now: this.#now,
      find: (arn) => this.find(arn),
    })
    this.#queues.set(name, queue)
    return queue
  }

  delete(queue: Queue): void {
    queue.close()
    this.#queues.delete(queue.name)
  }

  /** By ARN, URL or name. */
  find(reference: string): Queue | undefined {
    return this.#queues.get(nameOf(reference))
  }

  /** @throws BrokerError QueueDoesNotExist. */
  get(reference: string): Queue {
    const queue = this.find(reference)
    if (queue === undefined) throw queueDoesNotExist()
    return queue
  }

  has(queue: string): boolean {
    return this.find(queue) !== undefined
  }

  send(queue: string, message: SendMessage): Promise<string> {
    return settled(() => this.get(queue).send(message).id)
  }

  async receive(reference: string, options: ReceiveOptions): Promise<readonly QueueMessage[]> {
    const queue = this.get(reference)
    const messages = await queue.receive(options)
    return messages.map((message) => received(message, queue.name))
  }

  remove(reference: string, receipts: readonly string[]): Promise<void> {
    return settled(() => {
      const queue = this.get(reference)
      for (const receipt of receipts) removeByReceipt(queue, receipt)
    })
  }

  changeVisibility(reference: string, receipts: readonly string[], visibilityMs: number): Promise<void> {
    return settled(() => {
      const queue = this.get(reference)
      for (const receipt of receipts) {
        const message = queue.find(parseReceipt(receipt, queue.name).id)
        if (message !== undefined) queue.changeVisibility(message, visibilityMs)
      }
    })
  }

  /** Who waits for messages is told that there are none. */
  close(): void {
    for (const queue of this.#queues.values()) queue.close()
  }
}

/** Of one that is gone it is nothing. @throws BrokerError ReceiptHandleIsInvalid, InvalidParameterValue. */
export function removeByReceipt(queue: Queue, receipt: string): void {
  const { id, receives } = parseReceipt(receipt, queue.name)
  const message = queue.find(id)
  if (message === undefined) return
  if (queue.fifo && (message.state !== 'held' || message.receives !== receives)) {
    throw invalidValue(receipt, 'ReceiptHandle', 'The receipt handle has expired.')
  }
  queue.remove(message)
}

/** @throws BrokerError ReceiptHandleIsInvalid, InvalidParameterValue, MessageNotInflight. */
export function heldByReceipt(queue: Queue, receipt: string): StoredMessage {
  const message = queue.find(parseReceipt(receipt, queue.name).id)
  if (message === undefined) {
    const reason = 'Message does not exist or is not available for visibility timeout change.'
    throw invalidValue(receipt, 'ReceiptHandle', reason)
  }
  if (message.state !== 'held') throw notInFlight()
  return message
}

/** The last part of an ARN or URL. */
export function nameOf(reference: string): string {
  return reference.slice(Math.max(reference.lastIndexOf('/'), reference.lastIndexOf(':')) + 1)
}

function checkName(name: string, attributes: Readonly<Record<string, string>>): void {
  const fifo = name.endsWith('.fifo')
  if (!/^[\w-]{1,80}$/.test(fifo ? name.slice(0, -5) : name) || name.length > 80) {
    throw invalidParameter(
      'Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length',
    )
  }
  if ((attributes['FifoQueue'] === 'true') !== fifo && attributes['FifoQueue'] !== undefined) {
    throw invalidParameter(
      'The name of a FIFO queue can only end with the .fifo suffix, and no other name does.',
    )
  }
}

/** A refusal is a promise's as well. */
function settled<Value>(work: () => Value): Promise<Value> {
  return new Promise((resolve) => resolve(work()))
}
