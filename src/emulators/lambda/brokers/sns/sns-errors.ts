import { BrokerError } from '../broker-error.ts'

export function topicNotFound(): BrokerError {
  return new BrokerError('NotFound', 'Topic does not exist', { status: 404 })
}

export function subscriptionNotFound(): BrokerError {
  return new BrokerError('NotFound', 'Subscription does not exist', { status: 404 })
}

export function invalidParameter(what: string): BrokerError {
  return new BrokerError('InvalidParameter', `Invalid parameter: ${what}`)
}
