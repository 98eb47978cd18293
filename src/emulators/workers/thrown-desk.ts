import type { FunctionFault } from '../../core/function.ts'
import { BARE_RECORD, type ThrownRecord } from './facade.ts'
import { throwFault } from './faults.ts'
import type { StackReader } from './stack.ts'

/** What was thrown, with whom it is to be reported. */
export interface Thrown {
  readonly record: ThrownRecord
  /** The function that told of it. */
  readonly teller: string
  readonly requestId?: string | undefined
}

export interface ThrownDeskOptions {
  /** Of all programs in the runtime. */
  readonly stacks: StackReader
  report(fault: FunctionFault): void
}

interface Seen {
  readonly id: string | undefined
  readonly source: string | undefined
  /** `MyError: what it says` */
  readonly key: string
  readonly fault: FunctionFault
  readonly at: number
  readonly isFromElsewhere: boolean
}

interface Pending {
  readonly thrown: Thrown
  readonly timer: NodeJS.Timeout
}

/** How long the line and the answer that tell of the same throw may be apart. */
const APART_MS = 150
/** How long a throw may travel from worker to worker. */
const TRAVEL_MS = 5_000
const SEEN_MAX = 50

/**
 * Reports what programs throw, each once: an error that goes from a worker, an object or a step to its caller is told by each of them, with
 * the author's frames only where it was thrown first.
 */
export class ThrownDesk {
  readonly #options: ThrownDeskOptions
  readonly #seen: Seen[] = []
  /** Told by a line; an answer that tells it too knows the request. */
  readonly #pending = new Map<string, Pending>()
  /** Logged by workerd, and perhaps told by a module of ours. */
  readonly #uncaught = new Set<Pending>()
  readonly #waiting = new Set<() => void>()

  constructor(options: ThrownDeskOptions) {
    this.#options = options
  }

  /** A line told it. */
  told(thrown: Thrown): void {
    const { id, source } = thrown.record
    if (id === undefined || source !== 'fetch') {
      this.#take(thrown)
      return
    }
    if (this.#seen.some((seen) => seen.id === id)) return
    const timer = setTimeout(() => {
      this.#pending.delete(id)
      this.#take(thrown)
    }, APART_MS)
    this.#pending.set(id, { thrown, timer })
  }

  /** An answer told it. Reports, and resolves with what the request's page shows. */
  async answered(thrown: Thrown): Promise<FunctionFault> {
    const { id } = thrown.record
    if (thrown.record === BARE_RECORD) return this.#take(await this.#explained(thrown))
    if (id !== undefined) {
      clearTimeout(this.#pending.get(id)?.timer)
      this.#pending.delete(id)
    }
    if (isFromElsewhere(thrown.record)) await this.#until(() => this.#isTold(thrown.record))
    return this.#take(thrown)
  }

  /** workerd met an exception that no module of ours has seen: a stream's, or one of its own. */
  uncaught(message: string, teller: string): void {
    const [, name = 'Error', text = ''] = /jsg\.(\w+): ([^]*)$/.exec(message) ?? []
    if (text === '') return
    const thrown = { record: { name, message: text }, teller }
    if (this.#isTold(thrown.record)) return
    const timer = setTimeout(() => {
      this.#uncaught.delete(entry)
      if (!this.#isTold(thrown.record)) this.#take(thrown)
    }, APART_MS)
    const entry = { thrown, timer }
    this.#uncaught.add(entry)
    for (const look of this.#waiting) look()
  }

  /** What workerd logged about the answer it gave in a program's place, which comes a moment before or after. */
  async #explained(bare: Thrown): Promise<Thrown> {
    await this.#until(() => this.#uncaught.size > 0)
    const [entry] = this.#uncaught
    if (entry === undefined) return bare
    clearTimeout(entry.timer)
    this.#uncaught.delete(entry)
    return { ...bare, record: entry.thrown.record }
  }

  /** No answer comes any more. */
  close(): void {
    for (const { thrown, timer } of [...this.#pending.values(), ...this.#uncaught]) {
      clearTimeout(timer)
      this.#take(thrown)
    }
    this.#pending.clear()
    this.#uncaught.clear()
  }

  #take(thrown: Thrown): FunctionFault {
    const fault = this.#faultOf(thrown)
    const echo = this.#find(thrown.record, fault)
    if (echo !== undefined) return { ...echo.fault, requestId: thrown.requestId }
    const { id, source, name, message } = thrown.record
    const key = `${name}: ${message}`
    const seen = {
      id,
      source,
      key,
      fault,
      at: performance.now(),
      isFromElsewhere: isFromElsewhere(thrown.record),
    }
    if (this.#seen.push(seen) > SEEN_MAX) this.#seen.shift()
    this.#options.report(fault)
    for (const look of this.#waiting) look()
    return fault
  }

  #faultOf({ record, teller, requestId }: Thrown): FunctionFault {
    const { stacks } = this.#options
    const name = (record.stack === undefined ? undefined : stacks.owner(record.stack)) ?? teller
    return throwFault(record, { name, stacks, requestId })
  }

  /** The report that this one would repeat. */
  #find(record: ThrownRecord, { frame }: FunctionFault): Seen | undefined {
    const since = performance.now() - TRAVEL_MS
    return this.#seen.findLast((seen) => {
      if (seen.at < since || !isKeyOf(seen.key, record)) return false
      if (record.id !== undefined && seen.id === record.id) return true
      // The same handler again has failed again.
      if (seen.source === record.source) return false
      return isFromElsewhere(record) ? !seen.isFromElsewhere : samePlace(frame, seen.fault.frame)
    })
  }

  #isTold(record: ThrownRecord): boolean {
    return this.#seen.some(({ key }) => isKeyOf(key, record))
  }

  /** Resolves when it is so, or `APART_MS` later. Asked again whenever something was told. */
  async #until(isSo: () => boolean): Promise<void> {
    if (isSo()) return
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve()
      }
      const look = (): void => {
        if (isSo()) settle()
      }
      const timer = setTimeout(settle, APART_MS)
      this.#waiting.add(look)
    })
  }
}

/** `BError: text` arrives as an Error whose message is that, or as it was. */
function isKeyOf(key: string, { name, message }: ThrownRecord): boolean {
  return key === message || key === `${name}: ${message}` || (message !== '' && key.endsWith(`: ${message}`))
}

/** What crossed from one isolate to another kept its words; of its stack there is who waited for it. */
function isFromElsewhere({ stack }: ThrownRecord): boolean {
  if (stack === undefined) return false
  const frames = stack.match(/^\s+at .*$/gm) ?? []
  return frames.every((frame) => frame.trimStart().startsWith('at async '))
}

function samePlace(one: FunctionFault['frame'], other: FunctionFault['frame']): boolean {
  return (
    one !== undefined &&
    other !== undefined &&
    one.place.file === other.place.file &&
    one.place.line === other.place.line &&
    one.place.column === other.place.column
  )
}
