import { ACCOUNT_ID } from '../../definition.ts'
import { parseArn } from '../arn.ts'
import { mapOf, textOf } from '../query/query-form.ts'
import type { XmlObject } from '../query/xml.ts'
import type { SnsAction, SnsCall } from './sns-call.ts'
import { invalidParameter } from './sns-errors.ts'
import { required } from './sns-input.ts'
import { Subscription, type Protocol } from './subscription.ts'

const PROTOCOLS: readonly string[] = ['sqs', 'lambda', 'http', 'https'] satisfies readonly Protocol[]

/** What is done with subscriptions. */
export const SUBSCRIPTION_ACTIONS: Readonly<Record<string, SnsAction>> = {
  Subscribe: subscribe,
  ConfirmSubscription: ({ form, topics }) => {
    const topic = topics.get(required(form, 'TopicArn'))
    const token = required(form, 'Token')
    const subscription = topic.subscriptions().find((one) => one.token === token)
    if (subscription === undefined) throw invalidParameter('Token')
    subscription.pending = false
    return { SubscriptionArn: subscription.arn }
  },
  // Of one that is gone it is nothing.
  Unsubscribe: ({ form, topics }) => {
    const arn = required(form, 'SubscriptionArn')
    const topic = topics.find(arn.slice(0, arn.lastIndexOf(':')))
    const subscription = topic?.subscriptions().find((one) => one.arn === arn)
    if (subscription !== undefined) topic?.remove(subscription)
    return undefined
  },
  ListSubscriptions: ({ topics }) => ({
    Subscriptions: topics.all().flatMap((topic) => topic.subscriptions().map(summary)),
  }),
  ListSubscriptionsByTopic: ({ form, topics }) => ({
    Subscriptions: topics.get(required(form, 'TopicArn')).subscriptions().map(summary),
  }),
  GetSubscriptionAttributes: ({ form, topics }) => {
    const { subscription } = topics.subscription(required(form, 'SubscriptionArn'))
    const { arn, topicArn, endpoint, protocol, pending, attributes } = subscription
    return {
      Attributes: new Map(
        Object.entries({
          SubscriptionArn: arn,
          TopicArn: topicArn,
          Endpoint: endpoint,
          Protocol: protocol,
          Owner: ACCOUNT_ID,
          PendingConfirmation: String(pending),
          ConfirmationWasAuthenticated: 'true',
          RawMessageDelivery: 'false',
          ...attributes,
        }),
      ),
    }
  },
  SetSubscriptionAttributes: ({ form, topics }) => {
    const { subscription } = topics.subscription(required(form, 'SubscriptionArn'))
    subscription.setAttribute(required(form, 'AttributeName'), textOf(form, 'AttributeValue') ?? '')
    return undefined
  },
}

const DIFFERENT = 'Attributes Reason: Subscription already exists with different attributes'

function subscribe({ form, topics, endpoint: url }: SnsCall): XmlObject {
  const topic = topics.get(required(form, 'TopicArn'))
  const protocol = protocolOf(required(form, 'Protocol'))
  const endpoint = required(form, 'Endpoint')
  checkEndpoint(protocol, endpoint)
  const there = topic.subscriptions().find((one) => one.protocol === protocol && one.endpoint === endpoint)
  const attributes = mapOf(form, 'Attributes')
  if (there !== undefined) {
    if (!there.has(attributes)) throw invalidParameter(DIFFERENT)
    return { SubscriptionArn: there.arn }
  }
  const pending = protocol === 'http' || protocol === 'https'
  const subscription = new Subscription({ topicArn: topic.arn, protocol, endpoint, attributes, pending })
  topic.add(subscription)
  if (!pending) return { SubscriptionArn: subscription.arn }
  const query = new URLSearchParams({
    Action: 'ConfirmSubscription',
    TopicArn: topic.arn,
    Token: subscription.token,
  })
  void topics.deliveries.confirm(subscription, `${url}/?${query.toString()}`)
  const returned = textOf(form, 'ReturnSubscriptionArn') === 'true'
  return { SubscriptionArn: returned ? subscription.arn : 'pending confirmation' }
}

function protocolOf(text: string): Protocol {
  if (isProtocol(text)) return text
  const reason = PROTOCOLS.join(', ')
  throw invalidParameter(`Amazon SNS protocol ${text} is not supported here; it is one of ${reason}`)
}

function isProtocol(text: string): text is Protocol {
  return PROTOCOLS.includes(text)
}

function checkEndpoint(protocol: Protocol, endpoint: string): void {
  const isArn = protocol === 'sqs' || protocol === 'lambda'
  const fits = isArn
    ? parseArn(endpoint)?.service === protocol
    : URL.canParse(endpoint) && endpoint.startsWith(`${protocol}://`)
  if (fits) return
  throw invalidParameter(
    isArn ? `${protocol.toUpperCase()} endpoint ARN` : `Endpoint must match the specified protocol`,
  )
}

function summary({ arn, topicArn, protocol, endpoint, pending }: Subscription): XmlObject {
  return {
    SubscriptionArn: pending ? 'PendingConfirmation' : arn,
    Owner: ACCOUNT_ID,
    Protocol: protocol,
    Endpoint: endpoint,
    TopicArn: topicArn,
  }
}
