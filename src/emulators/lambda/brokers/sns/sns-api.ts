import { BrokerError } from '../broker-error.ts'
import type { XmlObject } from '../query/xml.ts'
import type { SnsAction, SnsCall } from './sns-call.ts'
import { SUBSCRIPTION_ACTIONS } from './subscription-actions.ts'
import { TOPIC_ACTIONS } from './topic-actions.ts'

export const SNS_NAMESPACE = 'http://sns.amazonaws.com/doc/2010-03-31/'

const ACTIONS: Readonly<Record<string, SnsAction>> = { ...TOPIC_ACTIONS, ...SUBSCRIPTION_ACTIONS }

/** @throws BrokerError. */
export function runSns(name: string, call: SnsCall): XmlObject | undefined {
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
  // A form does not say whose it is: STS, IAM and CloudFormation are asked in the same way.
  if (action === undefined)
    throw new BrokerError(
      'InvalidAction',
      `flexi has no ${name}: Lambda, SQS, SNS and EventBridge answer here.`,
    )
  return action(call)
}
