// Just enough of Lambda's types for an editor. `npm install --save-dev @types/aws-lambda @types/node` has all of them.

/** What a function URL and an HTTP API send: payload format 2.0. */
export interface HttpEvent {
  readonly rawPath: string
  readonly rawQueryString: string
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly cookies?: readonly string[]
  readonly queryStringParameters?: Readonly<Record<string, string>>
  readonly requestContext: {
    readonly requestId: string
    readonly http: { readonly method: string; readonly path: string; readonly sourceIp: string }
  }
  readonly body?: string
  /** Bodies that are no text come in Base64. */
  readonly isBase64Encoded: boolean
}

export interface HttpResult {
  readonly statusCode: number
  readonly headers?: Readonly<Record<string, string>>
  readonly cookies?: readonly string[]
  readonly body?: string
  readonly isBase64Encoded?: boolean
}

export interface Context {
  readonly functionName: string
  readonly awsRequestId: string
  readonly memoryLimitInMB: string
  getRemainingTimeInMillis(): number
}

declare global {
  const process: { readonly env: Readonly<Record<string, string | undefined>> }
  const console: Record<'debug' | 'info' | 'log' | 'warn' | 'error', (...parts: unknown[]) => void>
  const Buffer: { from(text: string, encoding: 'base64'): { toString(): string } }
}
