import { createHash, randomUUID } from 'node:crypto'

import type { SendMessage } from '../../service/queue.ts'
import type { ReceiveOptions } from '../../service/service.ts'
import { Deduplication } from '../deduplication.ts'
import { DueList } from './due-list.ts'
import { md5 } from './md5.ts'
import type { StoredMessage } from './message.ts'
import type { MoveTask } from './move-tasks.ts'
import { checkMessage, messageBytes } from './new-message.ts'
import { checkAttributes, initialAttributes, settingsOfQueue, type QueueSettings } from './queue-settings.ts'
import { queueFull } from './sqs-errors.ts'
import { FifoShelf, StandardShelf, type Shelf } from './shelf.ts'
import { Waiters } from './waiters.ts'

export interface QueueOptions {
  readonly name: string
  readonly arn: string
  readonly attributes: Readonly<Record<string, string>>
  readonly now: () => number
  /** Another queue by its ARN, for what is given up. */
  readonly find: (arn: string) => Queue | undefined
}

/** What is told of a message: id and sequence are those of the one that it repeats. Its body is not kept for that. */
type Sent = Pick<StoredMessage, 'id' | 'sequence' | 'bodyMd5'>

/** More than these cannot be held at once: receiving answers OverLimit. */
export const HELD_MAX = 120_000

/** What one queue may hold in memory, about: one that nobody reads does not take all there is. */
const BYTES_MAX = 256 * 1024 * 1024
/** Of a message without its body and attributes. */
const MESSAGE_BYTES = 512

/** One queue, in memory. It has one timer, and that only while somebody waits for a message. */
export class Queue {
  readonly name: string
  readonly arn: string
  readonly fifo: boolean
  readonly createdAt: number
  readonly tags = new Map<string, string>()
  /** Those that took messages from here, the latest first. */
  readonly moves: MoveTask[] = []
  readonly #now: () => number
  readonly #find: QueueOptions['find']
  readonly #shelf: Shelf
  readonly #due = new DueList()
  readonly #messages = new Map<string, StoredMessage>()
  readonly #sent = new Deduplication<Sent>()
  readonly #counts = { ready: 0, delayed: 0, held: 0, gone: 0 }
  readonly #waiters: Waiters
  #attributes: Record<string, string>
  #settings: QueueSettings
  #changedAt: number
  #sequence = 0
  #bytes = 0

  /** @throws BrokerError when the attributes cannot be. */
  constructor({ name, arn, attributes, now, find }: QueueOptions) {
    this.name = name
    this.arn = arn
    this.fifo = name.endsWith('.fifo')
    checkAttributes(attributes, this.fifo)
    this.createdAt = now()
    this.#now = now
    this.#find = find
    this.#shelf = this.fifo ? new FifoShelf() : new StandardShelf()
    this.#attributes = { ...initialAttributes(this.fifo), ...attributes }
    this.#settings = settingsOfQueue(this.#attributes)
    this.#changedAt = this.createdAt
    this.#waiters = new Waiters({
      now,
      next: () => this.#due.next(),
      take: (options) => this.#take(options),
    })
  }

  get settings(): QueueSettings {
    return this.#settings
  }

  /** As SQS tells them, the counts included. */
  attributes(): Record<string, string> {
    this.#promote()
    return {
      ...this.#attributes,
      QueueArn: this.arn,
      CreatedTimestamp: seconds(this.createdAt),
      LastModifiedTimestamp: seconds(this.#changedAt),
      ApproximateNumberOfMessages: String(this.#counts.ready),
      ApproximateNumberOfMessagesNotVisible: String(this.#counts.held),
      ApproximateNumberOfMessagesDelayed: String(this.#counts.delayed),
    }
  }

  /** An empty text takes one away. @throws BrokerError. */
  setAttributes(attributes: Readonly<Record<string, string>>): void {
    checkAttributes(attributes, this.fifo)
    const merged = Object.entries({ ...this.#attributes, ...attributes }).filter(([, value]) => value !== '')
    this.#attributes = Object.fromEntries(merged)
    this.#settings = settingsOfQueue(this.#attributes)
    this.#changedAt = this.#now()
  }

  /** What it came to; for a duplicate that is the first one. @throws BrokerError. */
  send(message: SendMessage, trace?: string): Sent {
    checkMessage(message, this.#settings, this.fifo)
    const now = this.#now()
    const deduplicationId = message.deduplicationId ?? this.#contentId(message.body)
    const key = this.#settings.deduplicationScope === 'queue' ? '' : JSON.stringify(message.groupId)
    const sameAs = this.fifo ? this.#sent.find(`${key}${deduplicationId}`, now) : undefined
    if (sameAs !== undefined) return { ...sameAs, bodyMd5: md5(message.body) }
    if (this.#bytes >= BYTES_MAX) throw queueFull(this.name, BYTES_MAX)
    const stored = this.#keep({
      id: randomUUID(),
      body: message.body,
      bodyMd5: md5(message.body),
      attributes: message.attributes ?? {},
      sentAt: now,
      groupId: message.groupId,
      deduplicationId,
      sequence: this.#nextSequence(),
      trace,
      deadLetterSource: undefined,
      receives: 0,
      receivesBefore: 0,
      firstReceivedAt: undefined,
      ...this.#begin(now, message.delayMs),
    })
    const { id, sequence, bodyMd5 } = stored
    const sent = { id, sequence, bodyMd5 }
    if (this.fifo) this.#sent.add(`${key}${deduplicationId}`, sent, now)
    return sent
  }

  /** One that another queue gave up, or gives back. */
  adopt(message: StoredMessage, source: string | undefined): void {
    this.#keep({
      ...message,
      // Each queue counts for itself: two that give up to each other would do nothing else.
      receivesBefore: message.receives,
      sequence: this.#nextSequence(),
      deadLetterSource: source,
      ...this.#begin(this.#now(), 0),
    })
  }

  /** Resolves with none after `waitMs`, when `signal` aborts, and when the queue is closed. */
  receive(options: ReceiveOptions): Promise<StoredMessage[]> {
    return this.#waiters.receive(options)
  }

  get held(): number {
    this.#promote()
    return this.#counts.held
  }

  find(id: string): StoredMessage | undefined {
    this.#promote()
    return this.#messages.get(id)
  }

  remove(message: StoredMessage): void {
    if (message.state === 'gone') return
    // The shelf is told first: it frees the group of one that was held.
    this.#shelf.remove(message)
    this.#move(message, 'gone')
    this.#messages.delete(message.id)
    this.#waiters.wake()
  }

  /** Of one that is held. */
  changeVisibility(message: StoredMessage, visibilityMs: number): void {
    if (message.state !== 'held') return
    message.dueAt = this.#now() + visibilityMs
    this.#due.add(message)
    this.#waiters.wake()
  }

  purge(): void {
    for (const message of this.#messages.values()) this.#move(message, 'gone')
    this.#messages.clear()
    this.#shelf.clear()
    this.#due.clear()
  }

  /** All that is there and not held, oldest first: for what moves a dead letter queue's messages. */
  waiting(): readonly StoredMessage[] {
    this.#promote()
    return [...this.#messages.values()].filter(({ state }) => state !== 'held')
  }

  close(): void {
    this.#waiters.close()
  }

  #contentId(body: string): string | undefined {
    const { contentBasedDeduplication } = this.#settings
    return contentBasedDeduplication ? createHash('sha256').update(body).digest('hex') : undefined
  }

  #nextSequence(): string | undefined {
    this.#sequence += 1
    return this.fifo ? `1884949646046${String(this.#sequence).padStart(7, '0')}` : undefined
  }

  #begin(now: number, delayMs = this.#settings.delayMs): Pick<StoredMessage, 'state' | 'dueAt'> {
    // A FIFO queue knows no delay of one message.
    const ms = this.fifo ? this.#settings.delayMs : delayMs
    return { state: ms > 0 ? 'delayed' : 'ready', dueAt: now + ms }
  }

  #keep(message: StoredMessage): StoredMessage {
    this.#counts[message.state] += 1
    this.#bytes += bytesOf(message)
    this.#messages.set(message.id, message)
    this.#shelf.add(message)
    if (message.state === 'delayed') this.#due.add(message)
    this.#waiters.wake()
    return message
  }

  #move(message: StoredMessage, state: StoredMessage['state']): void {
    this.#counts[message.state] -= 1
    this.#counts[state] += 1
    message.state = state
    if (state === 'gone') this.#bytes -= bytesOf(message)
  }

  /** Makes ready what is due. */
  #promote(): void {
    const now = this.#now()
    for (;;) {
      const message = this.#due.take(now)
      if (message === undefined) return
      const was = message.state === 'held' ? 'held' : 'delayed'
      this.#move(message, 'ready')
      this.#shelf.ready(message, was)
    }
  }

  #take({ max, visibilityMs = this.#settings.visibilityMs }: ReceiveOptions): StoredMessage[] {
    this.#promote()
    const now = this.#now()
    const taken = this.#shelf.take(max, (message) => this.#stays(message, now))
    for (const message of taken) {
      this.#move(message, 'held')
      message.receives += 1
      message.firstReceivedAt ??= now
      message.dueAt = now + visibilityMs
      this.#due.add(message)
    }
    return taken
  }

  /** False for one that is too old, and for one that was received too often: it goes to the dead letter queue, if that is there. */
  #stays(message: StoredMessage, now: number): boolean {
    const { retentionMs, redrive } = this.#settings
    const tooOld = message.sentAt + retentionMs <= now
    const target =
      redrive !== undefined && message.receives - message.receivesBefore >= redrive.receivesMax
        ? this.#find(redrive.target)
        : undefined
    if (!tooOld && target === undefined) return true
    this.#move(message, 'gone')
    this.#messages.delete(message.id)
    if (!tooOld) target?.adopt(message, this.arn)
    return false
  }
}

function bytesOf(message: StoredMessage): number {
  return messageBytes(message) + MESSAGE_BYTES
}

function seconds(ms: number): string {
  return String(Math.floor(ms / 1000))
}
