import { ACCOUNT_ID } from '../../definition.ts'
import { BrokerError } from '../broker-error.ts'
import type { XmlObject } from './xml.ts'

/** `Version` of STS's requests. */
export const STS_VERSION = '2011-06-15'
export const STS_NAMESPACE = `https://sts.amazonaws.com/doc/${STS_VERSION}/`

/** Infrastructure tools ask who they are before they ask for anything else: it is the account that every ARN here has. */
export function runSts(action: string): XmlObject {
  if (action === 'GetCallerIdentity')
    return { Arn: `arn:aws:iam::${ACCOUNT_ID}:root`, UserId: ACCOUNT_ID, Account: ACCOUNT_ID }
  throw new BrokerError('InvalidAction', `flexi has no ${action}: of STS it has GetCallerIdentity alone`)
}
