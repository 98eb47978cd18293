import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import type { RequestContext, SocketFetcher } from '../core/fetcher.ts'
import { asFlexiError, FlexiError } from '../core/errors.ts'
import { LIMITS } from '../core/limits.ts'
import { silentLogger, type Logger } from '../core/log.ts'
import type { OriginState, UpstreamOrigin, UpstreamSettings } from '../core/upstream.ts'
import { hasContent } from '../forward/client-side.ts'
import { VIA_NAME } from '../forward/fields.ts'
import { IDEMPOTENT, startForward, type ForwardExchange } from '../forward/forward.ts'
import { forwardHttp2 } from '../forward/http2-forward.ts'
import { problemText } from '../forward/problem.ts'
import { answerRaw } from '../forward/raw-answer.ts'
import { REQUEST_ID, toldRequestId } from '../forward/request-id.ts'
import { forwardUpgrade } from '../forward/upgrade.ts'
import { Balancer } from './balancer.ts'
import { memberOf, type Member } from './member.ts'
import { Origins, type HeldOrigin } from './origins.ts'
import { planOf } from './plan.ts'
import { Tries, type Asked, type Upstreaming } from './tries.ts'
import { WaitingLine } from './waiting-line.ts'

export interface UpstreamTools {
  /** Told when an origin goes down or comes back; default silent. */
  readonly log?: Logger | undefined
  /** Origins shared with other upstreams and with those of a configuration before or after this one. */
  readonly origins?: Origins | undefined
}

/** Several origins as one. Disposing it lets requests under way finish. */
export type Upstream = SocketFetcher & AsyncDisposable & { states(): readonly OriginState[] }

/**
 * Forwards to one of several origins; none needs to be up when this opens.
 * @throws FlexiError FLEXI_CONFIG for an origin that is no http URL, files that cannot be read, fields that cannot be sent.
 */
export async function openUpstream(
  origins: readonly UpstreamOrigin[],
  settings: UpstreamSettings = {},
  tools: UpstreamTools = {},
): Promise<Upstream> {
  const plan = planOf(settings)
  const holder = new Holder(origins, settings, tools)
  try {
    const members = await holder.open()
    const balancer = new Balancer(members, plan.balance)
    const line = new WaitingLine(Math.min(LIMITS.queueWaitMs, plan.totalMs))
    return new OpenUpstream({ members, balancer, line, plan }, holder)
  } catch (error) {
    await holder.close()
    throw error
  }
}

/** The origins of one upstream, held until nobody needs them any more. */
class Holder {
  readonly #configs: readonly UpstreamOrigin[]
  readonly #settings: UpstreamSettings
  readonly #log: Logger
  readonly #origins: Origins
  readonly #own: boolean
  #held: HeldOrigin[] = []

  constructor(configs: readonly UpstreamOrigin[], settings: UpstreamSettings, tools: UpstreamTools) {
    this.#configs = configs
    this.#settings = settings
    this.#log = tools.log ?? silentLogger
    this.#origins = tools.origins ?? new Origins()
    this.#own = tools.origins === undefined
  }

  async open(): Promise<Member[]> {
    const settings = this.#settings
    const opened = await Promise.allSettled(
      this.#configs.map(async (config) => {
        const held = await this.#origins.take(config, settings, this.#log)
        this.#held.push(held)
        return memberOf(held.origin, config, settings)
      }),
    )
    return opened.map((outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason
      return outcome.value
    })
  }

  /** Waits for requests under way, unless the origins are others' as well. */
  async close(): Promise<void> {
    for (const held of this.#held.splice(0)) held.release()
    if (this.#own) await this.#origins[Symbol.asyncDispose]()
  }
}

const LOOPS_MAX = 10

interface Relayed {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly context: RequestContext
}

class OpenUpstream implements Upstream {
  readonly #upstream: Upstreaming
  readonly #holder: Holder
  #underWay = 0
  #onIdle: (() => void) | undefined

  constructor(upstream: Upstreaming, holder: Holder) {
    this.#upstream = upstream
    this.#holder = holder
    for (const { origin, requestsMax } of upstream.members) {
      if (Number.isFinite(requestsMax)) origin.waiters.add(upstream.line.wake)
    }
  }

  states(): readonly OriginState[] {
    return this.#upstream.members.map(({ origin }) => origin.state)
  }

  handle(incoming: IncomingMessage, outgoing: ServerResponse, context: RequestContext): Promise<void> {
    return new Promise((resolve, reject) => {
      if (incoming.method === 'TRACE') {
        outgoing.writeHead(405, ['Content-Length', '0'])
        outgoing.end()
        resolve()
        return
      }
      refuseLoop(incoming.headers.via)
      const request = new RelayedRequest({ incoming, outgoing, context }, (error) => {
        if (--this.#underWay === 0) this.#onIdle?.()
        if (error === undefined) resolve()
        else reject(error)
      })
      const tries = new Tries(this.#upstream, request)
      this.#underWay++
      tries.run()
    })
  }

  upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer, context: RequestContext): void {
    const tries = new Tries(this.#upstream, {
      incoming,
      context,
      client: socket,
      repeatable: true,
      send({ upgradeTarget, upgradeOptions }, hook) {
        const exchange = { incoming, socket, head, context, hook }
        forwardUpgrade(upgradeTarget, exchange, { ...upgradeOptions, handshakeMs: hook.headersMs }).then(
          () => hook.resolve(),
          (error: unknown) => hook.reject(error),
        )
      },
      end(error) {
        if (error !== undefined) refuseUpgrade(socket, { incoming, context }, asFlexiError(error))
      },
    })
    tries.run()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A request under way may yet go to another origin.
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve
      })
    }
    for (const { origin } of this.#upstream.members) origin.waiters.delete(this.#upstream.line.wake)
    await this.#holder.close()
  }
}

/** A plain request as its tries know it. */
class RelayedRequest implements Asked {
  readonly incoming: IncomingMessage
  readonly context: RequestContext
  readonly client: ServerResponse
  readonly repeatable: boolean
  readonly end: (error?: Error) => void

  constructor({ incoming, outgoing, context }: Relayed, end: (error?: Error) => void) {
    this.incoming = incoming
    this.client = outgoing
    this.context = context
    this.repeatable = IDEMPOTENT.has(context.raw.method) && !hasContent(incoming)
    this.end = end
  }

  send({ target }: Member, tries: Tries): void {
    const { incoming, context, client: outgoing } = this
    const { headersMs, signal } = tries
    const exchange: ForwardExchange = { incoming, outgoing, context, hook: tries, headersMs, signal }
    if ('pool' in target) {
      forwardHttp2(target, exchange).then(
        () => tries.resolve(),
        (error: unknown) => tries.reject(error),
      )
    } else {
      startForward(target, exchange, tries)
    }
  }
}

function refuseUpgrade(
  socket: Duplex,
  { incoming, context }: Pick<Asked, 'incoming' | 'context'>,
  error: FlexiError,
): void {
  const { status, code, message, hint, retryAfterSeconds } = error
  context.note({ status })
  context.log.warn('request.fail', { code, message })
  const retry = retryAfterSeconds === undefined ? [] : ['Retry-After', String(Math.ceil(retryAfterSeconds))]
  answerRaw(socket, {
    status,
    contentType: 'application/problem+json',
    text: problemText({ status, detail: message, code, hint, requestId: context.id }),
    fields: [REQUEST_ID, toldRequestId(incoming.headers, context.id), ...retry],
  })
}

/** A route that leads back to this server would go round until something breaks. */
function refuseLoop(via: string | undefined): void {
  if (via === undefined || via.split(VIA_NAME).length <= LOOPS_MAX) return
  throw new FlexiError('FLEXI_UPSTREAM_LOOP', 'the request came back to this server again and again', {
    hint: 'Point the route at another server than this one.',
  })
}
