import { ACCOUNT_ID } from './definition.ts'

const OF_AWS = new RegExp(
  `https://(?:sqs\\.[\\w-]+|[\\w-]+\\.queue)\\.amazonaws\\.com/(?=${ACCOUNT_ID}/)`,
  'g',
)

/**
 * Variables that hold the URL of a queue, with the place where that queue is on this machine: SDKs send what they send to a queue's URL
 * there, whatever endpoint they are told. Templates name queues by URLs of AWS, since no port is known while they are read.
 * @param variables the function's own; `AWS_ENDPOINT_URL_SQS` or `AWS_ENDPOINT_URL` among them says where its queues are
 * @param endpoint of flexi's own queues; undefined where there are none
 * @returns those that change
 */
export function localQueueUrls(
  variables: Readonly<Record<string, string>>,
  endpoint: string | undefined,
): Record<string, string> {
  const place = variables['AWS_ENDPOINT_URL_SQS'] ?? variables['AWS_ENDPOINT_URL'] ?? endpoint
  if (place === undefined) return {}
  const changed = Object.entries(variables)
    .filter(([, value]) => value.includes('.amazonaws.com/'))
    .map(([name, value]) => [name, value.replace(OF_AWS, `${place.replace(/\/$/, '')}/`)] as const)
  return Object.fromEntries(changed.filter(([name, value]) => value !== variables[name]))
}
