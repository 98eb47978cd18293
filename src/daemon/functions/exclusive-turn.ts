import { FlexiError } from '../../core/errors.ts'
import { inTime } from './time-limit.ts'

/** Who has just begun is left alone for so long, however many others want to: two that are asked in turns would do nothing but change. */
const HOLD_MS = 1_000
/** How long one waits for the other to end. */
const WAIT_MS_MAX = 60_000

/** One that may run only while no other of its function does. */
export interface Holder {
  readonly name: string
  /** Ends what runs of it once that is done; what comes meanwhile waits, and asks for the turn again. */
  rest(): Promise<void>
}

/** Versions of one function that own the same stored data run one at a time: the one that is asked has its turn, the other rests. */
export class ExclusiveTurn {
  readonly #lock: (onWanted: () => void) => Promise<AsyncDisposable>
  #locked: Promise<AsyncDisposable> | undefined
  #holder: Holder | undefined
  #since = 0
  #queue: Promise<void> = Promise.resolve()
  #isLeaving = false

  /** `lock` keeps other processes out; it is given back when nobody holds the turn any more, or when one of them wants it. */
  constructor(lock: (onWanted: () => void) => Promise<AsyncDisposable>) {
    this.#lock = lock
  }

  /** Resolves when `holder` may start. @throws FlexiError FLEXI_FUNCTION_INIT when the other does not come to its end. */
  enter(holder: Holder): Promise<void> {
    const turn = this.#queue.then(() => this.#pass(holder))
    this.#queue = turn.catch(() => undefined)
    return turn
  }

  /** It has ended, and will not start before it has entered again. */
  async leave(holder: Holder): Promise<void> {
    if (this.#holder !== holder) return
    this.#holder = undefined
    const locked = this.#locked
    this.#locked = undefined
    await (await locked?.catch(() => undefined))?.[Symbol.asyncDispose]()
  }

  async #pass(holder: Holder): Promise<void> {
    const before = this.#holder
    if (before === holder) return
    if (before !== undefined) await this.#end(before, holder.name)
    this.#locked ??= this.#lock(() => this.#handOver())
    try {
      await this.#locked
    } catch (error) {
      this.#locked = undefined
      throw error
    }
    this.#holder = holder
    this.#since = performance.now()
  }

  async #end(holder: Holder, wantedBy: string): Promise<void> {
    const leftMs = HOLD_MS - (performance.now() - this.#since)
    if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs))
    await inTime(holder.rest(), WAIT_MS_MAX, () => heldFast(holder.name, wantedBy))
  }

  /** Another process is asked, as an old daemon's successor is. */
  #handOver(): void {
    if (this.#isLeaving) return
    this.#isLeaving = true
    const over = this.#queue.then(async () => {
      const holder = this.#holder
      if (holder === undefined) return
      await this.#end(holder, 'another process')
      await this.leave(holder)
    })
    this.#queue = over.catch(() => undefined).finally(() => (this.#isLeaving = false))
  }
}

function heldFast(holder: string, name: string): FlexiError {
  return new FlexiError(
    'FLEXI_FUNCTION_INIT',
    `${holder} does not let go of the data that ${name} needs too`,
    { retryAfterSeconds: 1 },
  )
}
