import { FlexiError } from '../../core/errors.ts'
import type { RequestContext, SocketFetcher, Upgrade } from '../../core/fetcher.ts'
import type { InvokeContext, InvokeResult } from '../../core/function.ts'
import { pick, type Split } from './split.ts'

/** What a version can be asked. */
export type Askable = SocketFetcher & {
  invoke(payload: Uint8Array, context: InvokeContext): Promise<InvokeResult>
}

/** Where an alias leads: nowhere, to one version, or to two. */
export type Led = Askable | Split<Askable> | undefined

/** An alias as the routes of a project reach it: the same object, wherever the alias leads. */
export class AliasTarget implements Askable {
  readonly #name: string
  readonly #fallback: AliasTarget | undefined
  #led: Led

  /** `hello@live`, for messages; and where requests go while it leads nowhere. */
  constructor(name: string, fallback?: AliasTarget) {
    this.#name = name
    this.#fallback = fallback
  }

  /** New requests go there from now on; those under way stay where they are. */
  lead(led: Led): void {
    this.#led = led
  }

  handle: SocketFetcher['handle'] = (incoming, outgoing, context) =>
    this.#choose(context).handle(incoming, outgoing, context)

  invoke(payload: Uint8Array, context: InvokeContext): Promise<InvokeResult> {
    return this.#choose(undefined).invoke(payload, context)
  }

  get upgrade(): Upgrade | undefined {
    const able = this.#members().some(({ upgrade }) => upgrade !== undefined)
    return able ? this.#upgrade : undefined
  }

  readonly #upgrade: Upgrade = (incoming, socket, head, context) => {
    // Where only one of two versions knows WebSockets, that one takes them all.
    const able = [this.#choose(context), ...this.#members()].find(({ upgrade }) => upgrade !== undefined)
    if (able?.upgrade === undefined) socket.destroy()
    else able.upgrade(incoming, socket, head, context)
  }

  /** @throws FlexiError FLEXI_FUNCTION_UNKNOWN. */
  #choose(context: RequestContext | undefined): Askable {
    const led = this.#led
    if (led === undefined && this.#fallback !== undefined) return this.#fallback
    if (led === undefined)
      throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `${this.#name} does not run`, {
        hint: 'Deploy it, or start it with "flexi functions start".',
      })
    return 'weight' in led ? pick(led, context) : led
  }

  #members(): readonly Askable[] {
    const led = this.#led
    if (led === undefined) return this.#fallback === undefined ? [] : [this.#fallback]
    return 'weight' in led ? [led.first, led.second] : [led]
  }
}
