import { createHash } from 'node:crypto'

import type { MessageAttribute } from '../../service/queue.ts'
import { parseArn } from '../arn.ts'
import type { Protocol, Subscription } from './subscription.ts'

/** One message of a topic. */
export interface Publication {
  readonly id: string
  readonly topicArn: string
  readonly message: string
  /** What some protocols get in its place (`MessageStructure: json`). */
  readonly byProtocol: Readonly<Partial<Record<Protocol, string>>>
  readonly subject: string | undefined
  readonly attributes: Readonly<Record<string, MessageAttribute>>
  readonly publishedAt: number
  readonly groupId: string | undefined
  readonly deduplicationId: string | undefined
  /** FIFO topics. */
  readonly sequence: string | undefined
}

export function messageFor({ message, byProtocol }: Publication, protocol: Protocol): string {
  return byProtocol[protocol] ?? message
}

interface WrittenAttribute {
  readonly Type: string
  readonly Value: string
}

/**
 * The event that a function gets. Nobody can check the signature: it has the form of one and no key.
 * Source: Lambda developer guide, SNS.
 */
export function snsEvent(
  publication: Publication,
  subscription: Subscription,
  unsubscribeUrl: string,
): unknown {
  const { id, topicArn, subject } = publication
  return {
    Records: [
      {
        EventSource: 'aws:sns',
        EventVersion: '1.0',
        EventSubscriptionArn: subscription.arn,
        Sns: {
          Type: 'Notification',
          MessageId: id,
          TopicArn: topicArn,
          Subject: subject ?? null,
          Message: messageFor(publication, subscription.protocol),
          Timestamp: new Date(publication.publishedAt).toISOString(),
          SignatureVersion: '1',
          Signature: signatureOf(publication),
          SigningCertUrl: certificateUrl(topicArn),
          UnsubscribeUrl: unsubscribeUrl,
          MessageAttributes: writtenAttributes(publication),
        },
      },
    ],
  }
}

/** What queues and URLs get, unless they want the message alone. */
export function envelope(
  publication: Publication,
  subscription: Subscription,
  unsubscribeUrl: string,
): string {
  const { id, topicArn, subject, sequence, attributes } = publication
  const body = {
    Type: 'Notification',
    MessageId: id,
    SequenceNumber: sequence,
    TopicArn: topicArn,
    Subject: subject,
    Message: messageFor(publication, subscription.protocol),
    Timestamp: new Date(publication.publishedAt).toISOString(),
    SignatureVersion: '1',
    Signature: signatureOf(publication),
    SigningCertURL: certificateUrl(topicArn),
    UnsubscribeURL: unsubscribeUrl,
    MessageAttributes: Object.keys(attributes).length === 0 ? undefined : writtenAttributes(publication),
  }
  return JSON.stringify(body, undefined, 2)
}

/** What a URL is sent first. */
export function confirmation(subscription: Subscription, subscribeUrl: string): string {
  const { topicArn, token, arn } = subscription
  const message = `You have chosen to subscribe to the topic ${topicArn}.\nTo confirm the subscription, visit the SubscribeURL included in this message.`
  const body = {
    Type: 'SubscriptionConfirmation',
    MessageId: arn.slice(arn.lastIndexOf(':') + 1),
    Token: token,
    TopicArn: topicArn,
    Message: message,
    SubscribeURL: subscribeUrl,
    Timestamp: new Date().toISOString(),
    SignatureVersion: '1',
    Signature: digest(message),
    SigningCertURL: certificateUrl(topicArn),
  }
  return JSON.stringify(body, undefined, 2)
}

function writtenAttributes({ attributes }: Publication): Readonly<Record<string, WrittenAttribute>> {
  const written = Object.entries(attributes).map(([name, { type, text, binary }]) => [
    name,
    { Type: type, Value: text ?? binary ?? '' },
  ])
  return Object.fromEntries(written) as Record<string, WrittenAttribute>
}

function signatureOf({ id, message }: Publication): string {
  return digest(`${id}${message}`)
}

function digest(text: string): string {
  return createHash('sha512').update(text).digest('base64')
}

function certificateUrl(topicArn: string): string {
  return `https://sns.${parseArn(topicArn)?.region ?? ''}.amazonaws.com/SimpleNotificationService-0000000000000000000000.pem`
}
