import type { ServerResponse } from 'node:http'

import { send } from '../answer.ts'
import type { BrokerError } from '../broker-error.ts'

const TYPE = 'text/xml'

export interface QueryAnswer {
  readonly action: string
  /** XML of the result; undefined for an action that has none. */
  readonly result: string | undefined
  /** XML namespace of the service. */
  readonly namespace: string
  readonly requestId: string
}

export function sendQueryAnswer(
  outgoing: ServerResponse,
  { action, result, namespace, requestId }: QueryAnswer,
): void {
  const body = result === undefined ? '' : `<${action}Result>${result}</${action}Result>`
  const metadata = `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata>`
  const text = `<?xml version="1.0"?><${action}Response xmlns="${namespace}">${body}${metadata}</${action}Response>`
  send(outgoing, { status: 200, type: TYPE, text })
}

export function sendQueryError(
  outgoing: ServerResponse,
  {
    error,
    message,
    namespace,
    requestId,
  }: {
    readonly error: BrokerError
    /** Escaped. */
    readonly message: string
    readonly namespace: string
    readonly requestId: string
  },
): void {
  const { code, status } = error
  const text = `<?xml version="1.0"?><ErrorResponse xmlns="${namespace}"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>${requestId}</RequestId></ErrorResponse>`
  send(outgoing, { status, type: TYPE, text })
}
