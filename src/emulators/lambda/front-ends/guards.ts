import type { IncomingMessage, ServerResponse } from 'node:http'

import type { RequestContext, SocketFetcher } from '../../../core/fetcher.ts'
import type { FunctionAddress, GuardHost } from '../../../core/function.ts'
import { discard } from '../../../forward/request-body.ts'
import { functionRegion } from '../definition.ts'
import { traceOf } from '../trace.ts'
import { authorizerAnswer, type Authorizer, type Verdict } from './authorizer.ts'
import { openCors, type Cors } from './cors.ts'
import type { FrontEnd, FrontEndRequest, HttpAnswer } from './front-end.ts'
import { frontEndOf } from './front-ends.ts'
import { fieldOf } from './identity.ts'
import { jwtAuthorizer } from './jwt-authorizer.ts'
import { lambdaAuthorizer } from './lambda-authorizer.ts'
import { Listener } from './listener.ts'
import { letPass, type Passage } from './passage.ts'
import { jsonAnswer } from './refusals.ts'
import { guardedOptions, type ApiKey, type AuthorizerOptions, type RouteOptions } from './route-options.ts'
import { sendAnswer } from './send.ts'
import { validated } from './validation.ts'

/** Authorizers of one route table: routes that name the same one share what it remembers, as the routes of an API do. */
export type OpenGuard = (address: FunctionAddress, target: SocketFetcher) => SocketFetcher

export function openGuards(host: GuardHost): OpenGuard {
  const authorizers = new Map<string, Authorizer>()
  const authorizerOf = (options: AuthorizerOptions, route: RouteOptions): Authorizer => {
    const key = JSON.stringify([options, route.frontEnd, route.apiId, route.stage])
    const authorizer = authorizers.get(key) ?? openAuthorizer(options, route, host)
    authorizers.set(key, authorizer)
    return authorizer
  }
  const listeners = new Map<string, Listener>()
  const listenerOf = (name: string): Listener => {
    const listener = listeners.get(name) ?? new Listener()
    listeners.set(name, listener)
    return listener
  }
  return (address, target) => {
    const options = guardedOptions(address)
    if (options.listener !== undefined) return listenerOf(options.listener.name).bind(options, target)
    const guard = new Guard({
      options,
      functionName: address.config.name,
      region: functionRegion(address.config, process.env),
      cors: options.cors === undefined ? undefined : openCors(options.cors),
      authorizer: options.authorizer === undefined ? undefined : authorizerOf(options.authorizer, options),
    })
    const behind = options.validation === undefined ? target : validated(target, options.validation)
    return {
      async handle(incoming, outgoing, context) {
        if (await guard.lets({ incoming, outgoing, context }))
          await behind.handle(incoming, outgoing, context)
        else discard(incoming)
      },
    }
  }
}

function openAuthorizer(options: AuthorizerOptions, route: RouteOptions, host: GuardHost): Authorizer {
  return options.kind === 'jwt'
    ? jwtAuthorizer(options, host)
    : lambdaAuthorizer(options, host, { remembers: route.frontEnd === 'rest-api' })
}

interface GuardParts {
  readonly options: RouteOptions
  readonly functionName: string
  readonly region: string
  readonly cors: Cors | undefined
  readonly authorizer: Authorizer | undefined
}

interface Exchange {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly context: RequestContext
}

/** What one address asks, in the cloud's order: preflight, authorizer, key. */
class Guard {
  readonly #parts: GuardParts

  constructor(parts: GuardParts) {
    this.#parts = parts
  }

  /** False when the request was answered here. */
  async lets({ incoming, outgoing, context }: Exchange): Promise<boolean> {
    const { options, functionName, region, cors, authorizer } = this.#parts
    const frontEnd = frontEndOf(context)
    const origin = fieldOf(context.raw.fields, 'origin')
    const passage: Passage = { corsFields: cors?.fields(origin) }
    const request: FrontEndRequest = {
      context,
      httpVersion: incoming.httpVersion,
      body: undefined,
      trace: traceOf(context),
      functionName,
      region,
      passage,
    }
    const answer = (refusal: HttpAnswer): false => {
      sendAnswer(outgoing, refusal, { frontEnd, request })
      return false
    }
    const isPreflight = this.#isPreflight(context, origin)
    // A route that asks who is there asks of preflight requests too.
    if (isPreflight && authorizer === undefined) return this.#answerPreflight({ outgoing, frontEnd, request })
    const verdict = await authorizer?.judge(request, options)
    if (verdict?.kind === 'refused') return answer(authorizerAnswer(verdict, options.frontEnd))
    if (isPreflight) return this.#answerPreflight({ outgoing, frontEnd, request })
    const apiKey = this.#apiKey(context)
    if (apiKey === 'missing') return answer(FORBIDDEN)
    letPass(context, { ...passage, ...allowedPart(verdict), apiKey, streams: options.streams })
    return !outgoing.destroyed
  }

  #isPreflight({ raw }: RequestContext, origin: string | undefined): boolean {
    const { options, cors } = this.#parts
    if (raw.method !== 'OPTIONS') return false
    if (options.preflight === true) return true
    return (
      cors !== undefined &&
      origin !== undefined &&
      fieldOf(raw.fields, 'access-control-request-method') !== undefined
    )
  }

  #answerPreflight({
    outgoing,
    frontEnd,
    request,
  }: {
    readonly outgoing: ServerResponse
    readonly frontEnd: FrontEnd
    readonly request: FrontEndRequest
  }): false {
    const { options, cors } = this.#parts
    const { fields } = request.context.raw
    const corsFields = cors?.preflightFields(fieldOf(fields, 'origin'), {
      method: fieldOf(fields, 'access-control-request-method'),
      headers: fieldOf(fields, 'access-control-request-headers'),
    })
    const status = options.frontEnd === 'http-api' ? 204 : 200
    sendAnswer(
      outgoing,
      { status, fields: [], body: '' },
      { frontEnd, request: { ...request, passage: { corsFields } } },
    )
    return false
  }

  #apiKey({ raw }: RequestContext): ApiKey | 'missing' | undefined {
    const { apiKeyRequired, apiKeys } = this.#parts.options
    if (apiKeyRequired !== true) return undefined
    const sent = fieldOf(raw.fields, 'x-api-key')
    return apiKeys?.find(({ value }) => value === sent) ?? 'missing'
  }
}

const FORBIDDEN = jsonAnswer(403, '{"message":"Forbidden"}', 'ForbiddenException')

function allowedPart(verdict: Verdict | undefined): Pick<Passage, 'authorized'> {
  return verdict?.kind === 'allowed' ? { authorized: verdict.authorized } : {}
}
