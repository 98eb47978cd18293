import type { SocketFetcher } from '../../../core/fetcher.ts'
import type { EventSource } from './event-source.ts'
import type { QueueMessage, SendMessage } from './queue.ts'

/** What came of an invocation that somebody waited for. */
export interface Invoked {
  readonly payload: Uint8Array
  readonly functionError: 'Handled' | 'Unhandled' | undefined
  /** `$LATEST` or a number. */
  readonly executedVersion: string
  /** With the version that ran: `arn:aws:lambda:…:function:hello:$LATEST`. */
  readonly functionArn: string
}

export interface InvokeOptions {
  /** Every attempt at an event has the same; made anew when undefined. */
  readonly id?: string | undefined
  /** X-Ray's header. */
  readonly trace?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Runs functions by what AWS calls them: a name, an ARN, each with or without a qualifier. */
export interface Invoker {
  /**
   * Waits for the result. A function that fails is a result, code that cannot be loaded too.
   * @throws ApiError ResourceNotFoundException; FlexiError FLEXI_THROTTLED, FLEXI_QUEUE_FULL, FLEXI_SHUTTING_DOWN.
   */
  invoke(reference: string, payload: Uint8Array, options?: InvokeOptions): Promise<Invoked>
  /** Resolves once the event is kept: it runs in the background, and again when its function fails. @throws ApiError. */
  invokeEvent(reference: string, payload: Uint8Array, options?: InvokeOptions): Promise<void>
}

/** What is sent to a queue, topic, bus or function by its ARN: by destinations, dead letters and failure records. */
export interface TargetMessage {
  /** JSON text. For a bus it is the event's detail. */
  readonly body: string
  readonly attributes?: Readonly<
    Record<string, { readonly type: 'String' | 'Number'; readonly value: string }>
  >
  /** For a bus. */
  readonly detailType?: string | undefined
  readonly resources?: readonly string[] | undefined
}

export interface Targets {
  /** Resolves once it is taken. @throws FlexiError FLEXI_NO_INPUT when nothing of that ARN is here or can be reached. */
  send(arn: string, message: TargetMessage): Promise<void>
}

/** The queues, topics and buses that flexi has of its own. Requests come with their target below the API's mount. */
export interface Brokers extends Targets, AsyncDisposable {
  readonly queues: Queues
  /** Events that functions wait for; called again with all of them whenever they change. */
  listen(listeners: Listeners): void
  /** The project's files may declare something else now. */
  changed(): void
  /** The fetcher for a request of one of their protocols; undefined when it is none of theirs. */
  fetcherOf(request: {
    readonly method: string
    readonly target: string
    readonly fields: readonly string[]
  }): SocketFetcher | undefined
}

/** Who is told of what is published. */
export interface Listeners {
  readonly topics: readonly Listener<'sns'>[]
  readonly buses: readonly Listener<'events'>[]
  readonly buckets: readonly Listener<'s3'>[]
}

type Source<Type> = Extract<EventSource, { readonly type: Type }>

export interface Listener<Type> {
  /** The function's ARN or name. */
  readonly function: string
  readonly source: Source<Type>
}

/** SQS, as pollers in this process use it; what it means is in SQS's API of the same names. */
export interface Queues {
  /** Makes the queue when it is not there. @throws FlexiError when its attributes cannot be. */
  ensure(name: string, attributes?: Readonly<Record<string, string>>): void
  /** By ARN, URL or name. */
  has(queue: string): boolean
  send(queue: string, message: SendMessage): Promise<string>
  /** Resolves with none after `waitMs`, or when `signal` aborts. */
  receive(queue: string, options: ReceiveOptions): Promise<readonly QueueMessage[]>
  /** By receipt handle. */
  remove(queue: string, receipts: readonly string[]): Promise<void>
  changeVisibility(queue: string, receipts: readonly string[], visibilityMs: number): Promise<void>
}

export interface ReceiveOptions {
  readonly max: number
  readonly waitMs: number
  /** Default is the queue's. */
  readonly visibilityMs?: number | undefined
  readonly signal: AbortSignal
}
