/** What a template declares besides functions, so far as something here acts for it: `Detection.resources`. */
export type Resource = QueueResource | TopicResource | BusResource | RuleResource

interface QueueResource {
  readonly kind: 'queue'
  /** Ends in `.fifo` for a FIFO queue. */
  readonly name: string
  /** As SQS calls them: `VisibilityTimeout`, `DelaySeconds`, `RedrivePolicy` (JSON text) …; all texts. */
  readonly attributes: Readonly<Record<string, string>>
}

export interface TopicResource {
  readonly kind: 'topic'
  readonly name: string
  /** Of a FIFO topic; default false. */
  readonly contentBasedDeduplication?: boolean | undefined
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

/** A rule whose targets are no sources of functions. */
export interface RuleResource {
  readonly kind: 'rule'
  readonly name: string
  /** Name or ARN; default `default`. */
  readonly bus?: string | undefined
  readonly pattern?: Readonly<Record<string, unknown>> | undefined
  /** `rate(…)` or `cron(…)` */
  readonly schedule?: string | undefined
  /** Default true. */
  readonly enabled?: boolean | undefined
  /** As EventBridge's PutTargets takes them: `{ Id, Arn, InputTransformer … }`. */
  readonly targets: readonly Readonly<Record<string, unknown>>[]
}

interface BusResource {
  readonly kind: 'bus'
  readonly name: string
}
