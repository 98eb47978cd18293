/**
 * A refusal of SQS, SNS or EventBridge. `type` is how the JSON protocols call it, `code` how the query protocol does;
 * they differ where a service is older than its JSON protocol.
 */
export class BrokerError extends Error {
  readonly type: string
  readonly code: string
  readonly status: number

  constructor(
    type: string,
    message: string,
    { code, status }: { readonly code?: string; readonly status?: number } = {},
  ) {
    super(message)
    this.name = type
    this.type = type
    this.code = code ?? type
    this.status = status ?? 400
  }
}
