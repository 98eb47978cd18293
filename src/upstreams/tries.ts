import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Writable } from 'node:stream'

import { FlexiError } from '../core/errors.ts'
import type { RequestContext } from '../core/fetcher.ts'
import type { AnswerHook } from '../forward/answer-hook.ts'
import { UpstreamError, type Settle } from '../forward/forward.ts'
import { requestKey } from '../forward/request-key.ts'
import type { Balancer } from './balancer.ts'
import { editFields } from './field-edits.ts'
import type { Member } from './member.ts'
import type { Plan } from './plan.ts'
import type { WaitingLine } from './waiting-line.ts'

/** What all requests to one upstream share. */
export interface Upstreaming {
  readonly members: readonly Member[]
  readonly balancer: Balancer<Member>
  readonly line: WaitingLine
  readonly plan: Plan
}

export interface Asked {
  readonly incoming: IncomingMessage
  readonly context: RequestContext
  /** The client's side: the response, or the socket of an upgrade. */
  readonly client: Writable
  /** Idempotent and without content: may be sent again after it was sent. */
  readonly repeatable: boolean
  /** Sends it there; `tries.resolve` or `tries.reject` is then called once. May throw in place of the latter. */
  send(member: Member, tries: Tries): void
  /**
   * Called once, when it was answered, or is over without an answer.
   * @param error Of the last try; FLEXI_UPSTREAM_DOWN and FLEXI_QUEUE_FULL when there was none.
   */
  end(error?: Error): void
}

/** They mean the origin or what is behind it is not there. */
const FAILING: ReadonlySet<number> = new Set([502, 503, 504])
const NONE: readonly Member[] = []

/**
 * One request and the origins it is sent to until one answers. Calls back instead of promising:
 * nearly every request is one try, and four promises would be a tenth of what it costs.
 */
export class Tries implements AnswerHook, Settle {
  readonly #upstream: Upstreaming
  readonly #asked: Asked
  readonly #since = Date.now()
  readonly #key: string | undefined
  /** The value of the cookie that the client does not have yet. */
  #cookie: string | undefined
  #tried: readonly Member[] = NONE
  #member: Member | undefined
  #isProbe = false
  #judged = false
  #total: { readonly controller: AbortController; readonly timer: NodeJS.Timeout } | undefined

  constructor(upstream: Upstreaming, asked: Asked) {
    this.#upstream = upstream
    this.#asked = asked
    this.#key = this.#readKey()
  }

  run(): void {
    this.#startTotal()
    this.#next()
  }

  /** Longest silence before the head of the answer to this try. */
  get headersMs(): number {
    const { tryMs, totalMs } = this.#upstream.plan
    if (tryMs === 0) return 0
    return Math.max(1, Math.min(tryMs, this.#tried.length === 0 ? totalMs : this.#leftMs()))
  }

  /** Aborts when all tries together have taken too long. */
  get signal(): AbortSignal | undefined {
    return this.#total?.controller.signal
  }

  /** The try under way has ended as it should. */
  resolve(): void {
    this.#leave()
    this.#end()
  }

  /** The try under way has failed. What follows begins when whoever tells has returned: it may be in the middle of its work. */
  reject(error: unknown): void {
    queueMicrotask(() => this.#failed(error))
  }

  accepts(status: number): boolean {
    this.#endTotal()
    const { plan, balancer } = this.#upstream
    const unwanted = plan.retryStatus.has(status)
    this.#judge(unwanted || FAILING.has(status) ? `answered ${status}` : undefined)
    if (!unwanted || !this.#asked.repeatable || this.#member === undefined) return true
    const isLast = this.#tried.length >= plan.retriesMax || this.#leftMs() <= 0
    return isLast || !balancer.hasOther([...this.#tried, this.#member])
  }

  edit(fields: string[]): string[] {
    const { responseEdits } = this.#upstream.plan
    const edited = responseEdits === undefined ? fields : editFields(fields, responseEdits)
    if (this.#cookie !== undefined) this.#addCookie(edited, this.#cookie)
    return edited
  }

  #next(failure?: Error): void {
    const choice = this.#upstream.balancer.choose(this.#tried, this.#key)
    if (typeof choice !== 'string') this.#go(choice)
    else if (failure !== undefined) this.#end(failure)
    else
      this.#wait(choice).then(
        (member) => this.#go(member),
        (error: unknown) => this.#end(asError(error)),
      )
  }

  /** Undefined for nowhere: the client is gone. */
  #go(member: Member | undefined): void {
    if (this.#asked.client.destroyed || member === undefined) this.#end()
    else if (this.#total?.controller.signal.aborted === true) this.#end(this.#tooLate())
    else this.#try(member)
  }

  #try(member: Member): void {
    this.#member = member
    this.#judged = false
    this.#isProbe = member.origin.enter()
    if (this.#upstream.members.length > 1) this.#asked.context.note({ upstream: member.origin.url })
    try {
      this.#asked.send(member, this)
    } catch (error) {
      this.reject(error)
    }
  }

  #failed(error: unknown): void {
    const goesOn = this.#goesOn(error)
    this.#leave()
    if (goesOn) this.#next(asError(error))
    else this.#end(asError(error))
  }

  #leave(): void {
    const origin = this.#member?.origin
    if (this.#isProbe && !this.#judged) origin?.circuit.probeLost()
    origin?.leave()
  }

  #end(error?: Error): void {
    this.#endTotal()
    this.#asked.end(error)
  }

  /** True when the request may go to another origin. */
  #goesOn(error: unknown): boolean {
    const member = this.#member
    if (!(error instanceof UpstreamError) || error.code === 'FLEXI_BAD_REQUEST' || member === undefined)
      return false
    this.#judge(error.message)
    this.#tried = [...this.#tried, member]
    const { plan } = this.#upstream
    if (this.#tried.length > plan.retriesMax || this.#leftMs() <= 0) return false
    if (error.sent && !this.#asked.repeatable) return false
    this.#asked.context.log.debug('upstream.pass', { origin: member.origin.url, message: error.message })
    return true
  }

  /** Once a try: a failure was seen by its status already when it is thrown. */
  #judge(reason: string | undefined): void {
    if (this.#judged || this.#member === undefined) return
    this.#judged = true
    const { circuit } = this.#member.origin
    if (reason === undefined) circuit.succeeded()
    else circuit.failed(reason, this.#upstream.members.length > 1)
  }

  /** Undefined when the client did not wait. */
  async #wait(first: 'full' | 'down'): Promise<Member | undefined> {
    const { balancer, line } = this.#upstream
    let choice: Member | 'full' | 'down' = first
    for (let again = false; choice === 'full'; again = true) {
      await line.wait(this.#asked.client, again)
      if (this.#asked.client.destroyed) {
        line.wake()
        return undefined
      }
      choice = balancer.choose(this.#tried, this.#key)
    }
    if (choice === 'down') throw this.#allDown()
    // There may be room for more than one.
    queueMicrotask(line.wake)
    return choice
  }

  #allDown(): FlexiError {
    const { members, plan } = this.#upstream
    const { retryAfterSeconds } = plan
    const taking = members.filter(({ weight }) => weight > 0)
    const urls = (taking.length > 0 ? taking : members).map(({ origin }) => origin.url).join(', ')
    if (taking.length === 0) {
      const message = `every origin has weight 0, which takes no requests: ${urls}`
      return new FlexiError('FLEXI_UPSTREAM_DOWN', message, {
        hint: 'Give one of them a weight above 0.',
        retryAfterSeconds,
      })
    }
    return new FlexiError('FLEXI_UPSTREAM_DOWN', `none of the origins is up: ${urls}`, {
      hint: 'Start one of them; its health check will find it.',
      retryAfterSeconds,
    })
  }

  #tooLate(): FlexiError {
    const { totalMs } = this.#upstream.plan
    return new FlexiError('FLEXI_UPSTREAM_TIMEOUT', `no origin could be asked within ${totalMs} ms`)
  }

  #leftMs(): number {
    return this.#since + this.#upstream.plan.totalMs - Date.now()
  }

  #startTotal(): void {
    const { totalIsStrict, totalMs } = this.#upstream.plan
    if (!totalIsStrict) return
    const controller = new AbortController()
    this.#total = { controller, timer: setTimeout(() => controller.abort(), totalMs) }
  }

  #endTotal(): void {
    if (this.#total !== undefined) clearTimeout(this.#total.timer)
  }

  #readKey(): string | undefined {
    const { balance } = this.#upstream.plan
    if (balance.kind !== 'hash') return undefined
    const { incoming, context } = this.#asked
    const found = requestKey(balance.key, context, (name) => joined(incoming.headers[name]))
    // An empty cookie is none.
    const key = balance.key.kind === 'cookie' && found === '' ? undefined : found
    if (key !== undefined || balance.key.kind !== 'cookie') return key
    this.#cookie = randomUUID()
    return this.#cookie
  }

  /** Unless the application sets it: the cookie is then its own. */
  #addCookie(fields: string[], value: string): void {
    const { balance } = this.#upstream.plan
    if (balance.kind !== 'hash' || balance.key.kind !== 'cookie') return
    const start = `${balance.key.name}=`
    for (let i = 0; i + 1 < fields.length; i += 2) {
      if (fields[i]?.toLowerCase() === 'set-cookie' && fields[i + 1]?.startsWith(start) === true) return
    }
    const secure = this.#asked.context.protocol === 'https' ? '; Secure' : ''
    fields.push('Set-Cookie', `${start}${value}; Path=/; HttpOnly; SameSite=Lax${secure}`)
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
