/** A stream, as its poller uses it: Kinesis, or the changes of a DynamoDB table. */
export interface StreamAccess {
  /** Known once `shards` has succeeded. */
  readonly arn: string
  /** `KinesisBatchInfo` or `DDBStreamBatchInfo`: how records of failures call a batch. */
  readonly batchInfo: string
  /** The field of a record's `content` that holds JSON as text. */
  readonly textField: string | undefined
  /** All that there are. @throws AwsError ResourceNotFoundException; Error when nobody answers. */
  shards(signal: AbortSignal): Promise<readonly Shard[]>
  /** Where to go on when nothing came up to `timestamp`, in seconds since the epoch. */
  since(timestamp: number): Position
  iterator(shard: string, position: Position, signal: AbortSignal): Promise<string>
  read(shard: string, iterator: string, options: ReadOptions): Promise<Read>
}

export interface Shard {
  readonly id: string
  /** Their records come before its own. */
  readonly parents: readonly string[]
  /** Nothing is added to it any more. */
  readonly closed: boolean
}

export type Position =
  | { readonly kind: 'TRIM_HORIZON' | 'LATEST' }
  /** Seconds since the epoch. */
  | { readonly kind: 'AT_TIMESTAMP'; readonly timestamp: number }
  | { readonly kind: 'AFTER_SEQUENCE_NUMBER'; readonly sequence: string }

export interface ReadOptions {
  readonly max: number
  readonly signal: AbortSignal
}

export interface Read {
  readonly records: readonly StreamRecord[]
  /** Undefined when the shard is closed and read to its end. */
  readonly next: string | undefined
}

export interface StreamRecord {
  readonly sequence: string
  /** Records of one key stay in order. */
  readonly key: string
  /** When it came; milliseconds since 1970. */
  readonly arrival: number
  /** What filters look at. */
  readonly content: Readonly<Record<string, unknown>>
  /** As the function sees it, JSON. */
  readonly json: string
}
