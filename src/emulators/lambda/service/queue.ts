export interface SendMessage {
  readonly body: string
  readonly attributes?: Readonly<Record<string, MessageAttribute>> | undefined
  readonly delayMs?: number | undefined
  /** FIFO queues. */
  readonly groupId?: string | undefined
  readonly deduplicationId?: string | undefined
}

/** A message attribute, as SQS has it. */
export interface MessageAttribute {
  /** `String`, `Number`, `Binary`, each with or without a `.suffix`. */
  readonly type: string
  readonly text?: string | undefined
  /** Base64. */
  readonly binary?: string | undefined
}

export interface QueueMessage {
  readonly id: string
  readonly receipt: string
  readonly body: string
  /** Hexadecimal. */
  readonly bodyMd5: string
  /** `ApproximateReceiveCount`, `SentTimestamp`, `SenderId`, `ApproximateFirstReceiveTimestamp`, `MessageGroupId` … */
  readonly systemAttributes: Readonly<Record<string, string>>
  readonly attributes: Readonly<Record<string, MessageAttribute>>
  readonly attributesMd5: string | undefined
}
