import { setTimeout as sleep } from 'node:timers/promises'

import { errorMessage } from '../../../../core/errors.ts'
import type { Logger } from '../../../../core/log.ts'
import type { SendMessage } from '../../service/queue.ts'
import { within } from '../../sources/clock.ts'
import type { Deliver } from '../deliver.ts'
import { confirmation, envelope, messageFor, snsEvent, type Publication } from './publication.ts'
import type { Subscription } from './subscription.ts'

export interface DeliveriesOptions {
  readonly log: Logger
  readonly deliver: Deliver
  /** Where a subscription is ended: `http://127.0.0.1:8069/_flexi/aws`. */
  readonly endpoint: () => string
  /** Waited before each further attempt at a URL. */
  readonly retryDelaysMs: readonly number[]
  /** Aborts when flexi stops. */
  readonly stopping: AbortSignal
}

/** An answer takes longer than this only from a server that is not well. */
const ANSWER_MS = 15_000
const CONTENT_TYPE = 'text/plain; charset=UTF-8'

/** Hands messages over to who subscribed. */
export class Deliveries {
  readonly #options: DeliveriesOptions

  constructor(options: DeliveriesOptions) {
    this.#options = options
  }

  /** Never fails: a message that cannot be handed over is told in the log, and goes to the dead letter queue where there is one. */
  async send(publication: Publication, subscription: Subscription): Promise<void> {
    try {
      await this.#attempt(publication, subscription)
    } catch (error) {
      await this.#giveUp(publication, subscription, error)
    }
  }

  async confirm(subscription: Subscription, subscribeUrl: string): Promise<void> {
    const fields = fieldsOf('SubscriptionConfirmation', subscription)
    try {
      await this.#post(subscription.endpoint, fields, confirmation(subscription, subscribeUrl))
    } catch (error) {
      this.#warn(subscription, `could not be asked to confirm its subscription: ${errorMessage(error)}`)
    }
  }

  #attempt(publication: Publication, subscription: Subscription): Promise<void> {
    const { endpoint, protocol } = subscription
    switch (protocol) {
      case 'lambda': {
        return this.#options.deliver(endpoint, {
          body: JSON.stringify(snsEvent(publication, subscription, this.#unsubscribeUrl(subscription))),
        })
      }
      case 'sqs': {
        return this.#options.deliver(endpoint, this.#queueMessage(publication, subscription))
      }
      case 'http':
      case 'https': {
        const fields = fieldsOf('Notification', subscription)
        fields['x-amz-sns-message-id'] = publication.id
        if (subscription.raw) fields['x-amz-sns-rawdelivery'] = 'true'
        return this.#post(endpoint, fields, this.#queueMessage(publication, subscription).body)
      }
    }
  }

  async #post(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<void> {
    const { retryDelaysMs, stopping } = this.#options
    for (const delayMs of [...retryDelaysMs, undefined]) {
      const problem = await this.#postOnce(url, { headers, body })
      if (problem === undefined) return
      if (delayMs === undefined || problem.permanent) throw new Error(problem.message)
      await sleep(delayMs, undefined, { signal: stopping })
    }
  }

  async #postOnce(
    url: string,
    { headers, body }: { readonly headers: Readonly<Record<string, string>>; readonly body: string },
  ): Promise<{ readonly message: string; readonly permanent: boolean } | undefined> {
    try {
      const { ok, status } = await within(ANSWER_MS, this.#options.stopping, async (signal) => {
        const response = await fetch(url, { method: 'POST', headers, body, signal })
        await response.body?.cancel()
        return response
      })
      // What the server refuses it refuses again, but for 429.
      return ok ? undefined : { message: `it answers ${status}`, permanent: status < 500 && status !== 429 }
    } catch (error) {
      const { cause } = error instanceof Error ? error : {}
      return { message: errorMessage(cause ?? error), permanent: this.#options.stopping.aborted }
    }
  }

  async #giveUp(publication: Publication, subscription: Subscription, error: unknown): Promise<void> {
    const { deadLetter } = subscription
    if (this.#options.stopping.aborted) return
    this.#warn(subscription, `did not get message ${publication.id}: ${errorMessage(error)}`)
    if (deadLetter === undefined) return
    try {
      await this.#options.deliver(deadLetter, this.#queueMessage(publication, subscription))
    } catch (failure) {
      this.#warn(subscription, `has a dead letter queue that cannot be used: ${errorMessage(failure)}`)
    }
  }

  #queueMessage(publication: Publication, subscription: Subscription): SendMessage {
    const { groupId, deduplicationId, attributes } = publication
    const ids = { groupId, deduplicationId }
    if (subscription.raw) {
      return { ...ids, body: messageFor(publication, subscription.protocol), attributes }
    }
    return { ...ids, body: envelope(publication, subscription, this.#unsubscribeUrl(subscription)) }
  }

  /** Here, and not at AWS: somebody may visit it. */
  #unsubscribeUrl({ arn }: Subscription): string {
    return `${this.#options.endpoint()}/?Action=Unsubscribe&SubscriptionArn=${arn}`
  }

  #warn({ topicArn, protocol, endpoint }: Subscription, what: string): void {
    const topic = topicArn.slice(topicArn.lastIndexOf(':') + 1)
    const message = `topic ${topic}: the ${protocol} subscription ${endpoint} ${what}`
    this.#options.log.warn('topic.deliver', { topic, endpoint, message })
  }
}

function fieldsOf(type: string, { topicArn, arn }: Subscription): Record<string, string> {
  return {
    'Content-Type': CONTENT_TYPE,
    'User-Agent': 'Amazon Simple Notification Service Agent',
    'x-amz-sns-message-type': type,
    'x-amz-sns-topic-arn': topicArn,
    'x-amz-sns-subscription-arn': arn,
  }
}
