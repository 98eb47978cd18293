import { randomUUID } from 'node:crypto'

import { errorMessage } from '../../../core/errors.ts'
import type { RequestContext } from '../../../core/fetcher.ts'
import type { GuardHost } from '../../../core/function.ts'
import type { Verdict } from '../front-ends/authorizer.ts'
import { decisionOf, type Decision } from '../front-ends/authorizer-decision.ts'
import { identityOf, parseIdentitySource } from '../front-ends/identity.ts'
import { verdictOf } from '../front-ends/lambda-authorizer.ts'
import type { RequestAuthorizerOptions } from '../front-ends/route-options.ts'
import { authorizerEvent, connectArn, type Client } from './events.ts'
import type { ServedApi } from './route-call.ts'

const WAIT_MS = 29_000

/** Asks the authorizer of `$connect`. Its answers are not remembered: each connection asks once. Never rejects. */
export async function authorizeConnect(
  api: ServedApi,
  client: Client,
  {
    authorizer,
    context,
  }: { readonly authorizer: RequestAuthorizerOptions; readonly context: RequestContext },
): Promise<Verdict> {
  const { options, host } = api
  const route = { stage: options.stage, stageVariables: options.stageVariables, routeKey: '$connect' }
  const sources = (authorizer.identitySources ?? []).map(parseIdentitySource)
  if (sources.some((source) => identityOf(source, { context }, route) === undefined))
    return { kind: 'refused', why: 'unauthorized' }
  const decision = await decide(host, authorizer.function, authorizerEvent(api, client, context))
  const verdict = verdictOf(decision, connectArn(api))
  if (decision.kind === 'broken' || verdict === undefined) {
    const message = decision.kind === 'broken' ? decision.message : 'its policy is none'
    host.log.warn('authorizer.fail', {
      message: `the authorizer ${authorizer.function} lets nobody through: ${message}`,
    })
  }
  return verdict ?? { kind: 'refused', why: 'broken' }
}

async function decide(host: GuardHost, name: string, event: object): Promise<Decision> {
  const from = performance.now()
  try {
    const result = await host.invoke(name, Buffer.from(JSON.stringify(event)), {
      id: randomUUID(),
      deadline: Date.now() + WAIT_MS,
      signal: AbortSignal.timeout(WAIT_MS),
      unlogged: true,
    })
    return decisionOf(result, { isSimple: false, isRest: true, tookMs: Math.round(performance.now() - from) })
  } catch (error) {
    return { kind: 'broken', message: errorMessage(error) }
  }
}
