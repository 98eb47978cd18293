/** What a template declares besides functions, so far as something here acts for it: `Detection.resources`. */
export type Resource = QueueResource | TopicResource | BusResource

export interface QueueResource {
  readonly kind: 'queue'
  /** Ends in `.fifo` for a FIFO queue. */
  readonly name: string
  /** As SQS calls them: `VisibilityTimeout`, `DelaySeconds`, `RedrivePolicy` (JSON text) …; all texts. */
  readonly attributes: Readonly<Record<string, string>>
}

export interface TopicResource {
  readonly kind: 'topic'
  readonly name: string
  /** To queues and URLs; functions say it themselves, as a source. */
  readonly subscriptions: readonly TopicSubscription[]
}

export interface TopicSubscription {
  readonly protocol: 'sqs' | 'lambda' | 'http' | 'https'
  /** ARN or URL. */
  readonly endpoint: string
  readonly filterPolicy?: Readonly<Record<string, unknown>> | undefined
  readonly filterPolicyScope?: 'MessageAttributes' | 'MessageBody' | undefined
  readonly rawMessageDelivery?: boolean | undefined
  /** ARN of a queue. */
  readonly deadLetter?: string | undefined
}

export interface BusResource {
  readonly kind: 'bus'
  readonly name: string
}
