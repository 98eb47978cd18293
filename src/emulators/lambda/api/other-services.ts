import type { ApiHost } from '../../../core/function.ts'
import { requestKind } from '../brokers/request-kind.ts'
import type { Brokers } from '../service/service.ts'
import { webSocketsOf } from '../web-sockets/web-sockets.ts'
import type { ApiCall } from './api-call.ts'

/** Paths of Lambda's own API begin with the date of a version. */
const LAMBDA_PATH = /^\/\d{4}-\d\d-\d\d\//
const CONNECTIONS_PATH = /^(?:\/[^/?]+)?\/@connections\//

export interface OtherServices {
  readonly host: ApiHost
  readonly brokers: () => Promise<Brokers>
}

export function isLambdas(target: string): boolean {
  return LAMBDA_PATH.test(target)
}

/** Answers a request below the API's mount that is none of Lambda's. False where nothing here speaks its protocol. */
export async function answerOther(
  { host, brokers }: OtherServices,
  { incoming, outgoing, context }: Pick<ApiCall, 'incoming' | 'outgoing' | 'context'>,
): Promise<boolean> {
  const { raw } = context
  const fetcher = CONNECTIONS_PATH.test(raw.target)
    ? webSocketsOf(host.app).management
    : requestKind(raw) === undefined
      ? undefined
      : (await brokers()).fetcherOf(raw)
  await fetcher?.handle(incoming, outgoing, context)
  return fetcher !== undefined
}
