/**
 * Where a function's events come from besides HTTP: `FunctionConfig.options.sources`, written by readers of templates, by people in
 * flexi.jsonc, and made from the API's event source mappings. Names and defaults are Lambda's and EventBridge's own.
 */
export type EventSource = QueueSource | StreamSource | ScheduleSource | BusSource | TopicSource | BucketSource

interface CommonSource {
  /** False keeps it and does nothing; default true. */
  readonly enabled?: boolean | undefined
  /** How its file calls it. */
  readonly name?: string | undefined
}

/** What is asked for messages and hands them over in batches. */
interface PolledSource extends CommonSource {
  /** Base URL of the service that has it (`http://127.0.0.1:9324`); undefined is flexi's own, for queues. */
  readonly endpoint?: string | undefined
  /** Messages at most; default 10 for queues, 100 for streams. */
  readonly batchSize?: number | undefined
  /** Seconds that are waited for a batch to fill; default 0. */
  readonly window?: number | undefined
  /** Patterns, as objects; one of them must match. Without any all do. */
  readonly filters?: readonly Readonly<Record<string, unknown>>[] | undefined
  /** The result says which of the batch failed: `{ batchItemFailures: [{ itemIdentifier }] }`. */
  readonly reportBatchItemFailures?: boolean | undefined
}

export interface QueueSource extends PolledSource {
  readonly type: 'sqs'
  /** ARN or name. */
  readonly queue: string
  /** Batches at once, 2 to 1000. */
  readonly maximumConcurrency?: number | undefined
}

export interface StreamSource extends PolledSource {
  readonly type: 'kinesis' | 'dynamodb'
  /** ARN, or the name of a stream (Kinesis) or of a table whose stream it is (DynamoDB). */
  readonly stream: string
  /** Default LATEST. */
  readonly startingPosition?: 'TRIM_HORIZON' | 'LATEST' | 'AT_TIMESTAMP' | undefined
  /** Seconds since the epoch, for AT_TIMESTAMP. */
  readonly startingPositionTimestamp?: number | undefined
  /** Attempts after the first one; -1 is for ever. Default -1. */
  readonly maximumRetryAttempts?: number | undefined
  /** Seconds; -1 is for ever. Default -1. */
  readonly maximumRecordAge?: number | undefined
  /** A batch that fails is tried in two halves. */
  readonly bisectBatchOnError?: boolean | undefined
  /** Batches of one shard at once, by partition key; 1 to 10. */
  readonly parallelizationFactor?: number | undefined
  /** ARN of what is told of batches that are given up. */
  readonly onFailure?: string | undefined
  /** Seconds of a window whose state is passed on; 0 to 900. */
  readonly tumblingWindow?: number | undefined
}

export interface ScheduleSource extends CommonSource {
  readonly type: 'schedule'
  /** `rate(5 minutes)`, `cron(0 10 * * ? *)`, `at(2026-11-21T10:00:00)` */
  readonly expression: string
  /** IANA's name; default UTC. */
  readonly timezone?: string | undefined
  /** The event in place of the one that EventBridge makes. */
  readonly input?: unknown
}

interface BusSource extends CommonSource {
  readonly type: 'events'
  readonly pattern: Readonly<Record<string, unknown>>
  /** Name or ARN; default `default`. */
  readonly bus?: string | undefined
  readonly input?: unknown
  /** `$.detail`: the part of the event that is handed over. */
  readonly inputPath?: string | undefined
  /** ARN of a queue for events that could not be handed over. */
  readonly deadLetter?: string | undefined
}

export interface TopicSource extends CommonSource {
  readonly type: 'sns'
  /** Name or ARN. */
  readonly topic: string
  readonly filterPolicy?: Readonly<Record<string, unknown>> | undefined
  /** Default MessageAttributes. */
  readonly filterPolicyScope?: 'MessageAttributes' | 'MessageBody' | undefined
  /** ARN of a queue for messages that could not be handed over. */
  readonly deadLetter?: string | undefined
}

export interface BucketSource extends CommonSource {
  readonly type: 's3'
  readonly bucket: string
  /** `s3:ObjectCreated:*` */
  readonly events: readonly string[]
  readonly prefix?: string | undefined
  readonly suffix?: string | undefined
}
