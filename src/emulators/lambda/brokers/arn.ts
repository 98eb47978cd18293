import { ACCOUNT_ID } from '../definition.ts'

export interface Arn {
  readonly service: string
  readonly region: string
  /** Everything after the account: `orders`, `event-bus/shop`, `function:hello`. */
  readonly resource: string
}

/** `arn:aws:sqs:us-east-1:123456789012:orders`; undefined for what is no ARN. */
export function parseArn(text: string): Arn | undefined {
  const [prefix, , service, inRegion, , ...rest] = text.split(':')
  if (prefix !== 'arn' || service === undefined || inRegion === undefined || rest.length === 0)
    return undefined
  return { service, region: inRegion, resource: rest.join(':') }
}

export function arnOf(service: 'sqs' | 'sns' | 'events', inRegion: string, resource: string): string {
  return `arn:aws:${service}:${inRegion}:${ACCOUNT_ID}:${resource}`
}
