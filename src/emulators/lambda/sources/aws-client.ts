import type { AwsClient as Signer } from 'aws4fetch'

import { errorMessage } from '../../../core/errors.ts'
import { memberOf } from './batch-failures.ts'
import { within } from './clock.ts'

export interface AwsClientOptions {
  /** Base URL. Nothing is asked anywhere else. */
  readonly endpoint: string
  /** `sqs`, `kinesis`, `dynamodb`: part of the signature. */
  readonly service: string
  /** `AmazonSQS`: what X-Amz-Target begins with. */
  readonly target: string
  /** Of AWS's JSON protocol. */
  readonly jsonVersion: '1.0' | '1.1'
  readonly region: string
  /** Credentials are the usual three variables; a service of this machine takes any. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** A service refused: `code` is its type without a namespace, such as ResourceNotFoundException. */
export class AwsError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message === '' ? code : `${code}: ${message}`)
    this.name = 'AwsError'
    this.code = code
  }
}

/** How long an answer may take: a long poll waits for twenty seconds. */
const ANSWER_MS = 40_000

/** Asks a service that speaks AWS's JSON protocol, with signed requests. */
export class AwsClient {
  readonly #options: AwsClientOptions
  #signer: Promise<Signer> | undefined

  constructor(options: AwsClientOptions) {
    this.#options = options
  }

  get endpoint(): string {
    return this.#options.endpoint
  }

  /** @throws AwsError; Error that names the endpoint when it cannot be reached, or `signal` aborts. */
  async call(operation: string, input: object, signal?: AbortSignal): Promise<unknown> {
    const { endpoint, target, jsonVersion } = this.#options
    const signer = await (this.#signer ??= openSigner(this.#options))
    const request = await signer.sign(endpoint, {
      method: 'POST',
      headers: {
        'Content-Type': `application/x-amz-json-${jsonVersion}`,
        'X-Amz-Target': `${target}.${operation}`,
      },
      body: JSON.stringify(input),
    })
    return within(ANSWER_MS, signal, async (both) => {
      const response = await this.#fetch(request, both)
      const text = await response.text()
      if (!response.ok) throw refusal(response, text)
      return text === '' ? {} : parsed(text, endpoint)
    })
  }

  async #fetch(request: Request, signal: AbortSignal): Promise<Response> {
    try {
      return await fetch(request, { signal })
    } catch (error) {
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
      throw new Error(`${this.#options.endpoint} cannot be reached: ${reasonOf(cause)}`, { cause: error })
    }
  }
}

/** `connect ECONNREFUSED 127.0.0.1:4567`; an error for several addresses has nothing but a code. */
function reasonOf(cause: unknown): string {
  const message = errorMessage(cause)
  return message === '' ? String(memberOf(cause, 'code')) : message
}

async function openSigner({ environment, region, service }: AwsClientOptions): Promise<Signer> {
  const { AwsClient: Client } = await import('aws4fetch')
  const { AWS_SESSION_TOKEN: sessionToken } = environment
  return new Client({
    accessKeyId: environment['AWS_ACCESS_KEY_ID'] ?? 'flexi',
    secretAccessKey: environment['AWS_SECRET_ACCESS_KEY'] ?? 'flexi',
    ...(sessionToken === undefined ? {} : { sessionToken }),
    service,
    region,
  })
}

function parsed(text: string, endpoint: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`${endpoint} does not answer with JSON`, { cause: error })
  }
}

function refusal(response: Response, text: string): AwsError {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    body = undefined
  }
  const type = memberOf(body, '__type') ?? response.headers.get('x-amzn-errortype')
  const code =
    typeof type === 'string' ? type.replace(/^.*#/, '').replace(/:.*$/, '') : `status ${response.status}`
  const message = memberOf(body, 'message') ?? memberOf(body, 'Message')
  return new AwsError(code, typeof message === 'string' ? message : '')
}
