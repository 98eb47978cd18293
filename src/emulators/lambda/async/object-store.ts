import { randomUUID } from 'node:crypto'

import { errorMessage, FlexiError } from '../../../core/errors.ts'
import { firstSet, region } from '../definition.ts'

export interface PutObjectOptions {
  readonly bucket: string
  readonly key: string
  readonly body: string
  /** Of flexi: AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL says where S3 is, the rest is as SDKs have it. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

const LIMIT_MS = 10_000

/** Puts JSON into a bucket. flexi has none of its own. @throws FlexiError FLEXI_NO_INPUT when no S3 is known, or it does not take it. */
export async function putObject({ bucket, key, body, environment }: PutObjectOptions): Promise<void> {
  const endpoint = firstSet(environment, ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'])
  if (endpoint === undefined) {
    throw new FlexiError('FLEXI_NO_INPUT', 'flexi has no S3', {
      hint: 'Start one (MinIO, s3rver) and set AWS_ENDPOINT_URL_S3 to its address.',
    })
  }
  const { AwsClient } = await import('aws4fetch')
  const { AWS_SESSION_TOKEN: sessionToken } = environment
  const client = new AwsClient({
    accessKeyId: environment['AWS_ACCESS_KEY_ID'] ?? 'flexi',
    secretAccessKey: environment['AWS_SECRET_ACCESS_KEY'] ?? 'flexi',
    ...(sessionToken === undefined ? {} : { sessionToken }),
    service: 's3',
    region: region(environment),
    retries: 0,
  })
  const url = `${endpoint.replace(/\/+$/, '')}/${bucket}/${key}`
  const answer = await client
    .fetch(url, {
      method: 'PUT',
      body,
      headers: { 'Content-Type': 'application/json' },
      signal: AbortSignal.timeout(LIMIT_MS),
    })
    .catch((error: unknown) => unreachable(endpoint, reasonOf(error)))
  if (!answer.ok) {
    const [, code = ''] = /<Code>([^<]*)</.exec(await answer.text()) ?? []
    unreachable(endpoint, `${answer.status} ${code}`.trim())
  }
}

/** `aws/lambda/async/hello` → `aws/lambda/async/hello/2026/11/21/2026-11-21T14.05.09-<uuid>`: as Lambda names what it puts. */
export function datedKey(folder: string, time: number): string {
  const [day = '', second = ''] = new Date(time).toISOString().slice(0, 19).split('T')
  return `${folder}/${day.replaceAll('-', '/')}/${day}T${second.replaceAll(':', '.')}-${randomUUID()}`
}

function unreachable(endpoint: string, reason: string): never {
  throw new FlexiError('FLEXI_NO_INPUT', `S3 at ${endpoint} did not take it: ${reason}`, {
    hint: 'Start it, make the bucket, or set AWS_ENDPOINT_URL_S3 to another address.',
  })
}

/** Node's fetch says only that it failed; why is its cause. */
function reasonOf(error: unknown): string {
  return errorMessage(error instanceof Error && error.cause !== undefined ? error.cause : error)
}
