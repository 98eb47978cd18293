import type { StreamSource } from '../service/event-source.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** The SDKs' own variables, the most exact one first. */
const VARIABLES = {
  kinesis: ['AWS_ENDPOINT_URL_KINESIS', 'AWS_ENDPOINT_URL'],
  dynamodb: ['AWS_ENDPOINT_URL_DYNAMODB_STREAMS', 'AWS_ENDPOINT_URL_DYNAMODB', 'AWS_ENDPOINT_URL'],
} as const satisfies Record<StreamSource['type'], readonly string[]>

/**
 * Where a stream is read: what its source says, else the environment. Undefined when neither does: AWS is never asked unbidden.
 * `own` is flexi's API, which has no streams and may well be what AWS_ENDPOINT_URL says.
 */
export function streamEndpoint(
  { type, endpoint }: StreamSource,
  environment: Environment,
  own: string | undefined,
): string | undefined {
  if (endpoint !== undefined) return endpoint
  return VARIABLES[type]
    .map((name) => environment[name])
    .find((url) => url !== undefined && url !== '' && (own === undefined || !url.startsWith(own)))
}

/** What a person is asked to set. */
export function streamVariable({ type }: StreamSource): string {
  return VARIABLES[type][0]
}
