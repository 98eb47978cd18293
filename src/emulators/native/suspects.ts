import type { Flight } from './dispatcher.ts'

const SUSPECTS_MAX = 64
const SUBJECT_LENGTH_MAX = 200
/** After so long without a crash of it nothing is held against a path. */
const SUSPECT_MS = 5_000
/** A suspect goes behind the others for so long only. */
const LAST_MS = 1_000
/** A request that looks like the one that ended it waits for this many processes. */
const SUSPECT_ENDS_MAX = 2
/** Any other for this many, when it has waited for `WAIT_MS` too. */
const ENDS_MAX = 3
const WAIT_MS = 1_000

/** What crashed processes, where that is known. The same method and path may well crash the next one too: others go first. */
export class Suspects {
  readonly #until = new Map<string, number>()

  get none(): boolean {
    return this.#until.size === 0
  }

  /** Of several that were in a process together nobody knows which it was. */
  add(begun: readonly Flight[], now: number): void {
    const [culprit, ...others] = begun
    if (culprit === undefined || others.length > 0) return
    this.#until.set(keyOf(culprit.subject), now + SUSPECT_MS)
    for (const [key, until] of this.#until)
      if (until <= now || this.#until.size > SUSPECTS_MAX) this.#until.delete(key)
  }

  /** It was answered. */
  clear({ subject }: Flight): void {
    this.#until.delete(keyOf(subject))
  }

  has({ subject }: Flight, now: number): boolean {
    return (this.#until.get(keyOf(subject)) ?? 0) > now
  }

  /** The others first, each in the order they came. */
  sort(waiting: Flight[], now: number): void {
    for (const [key, until] of this.#until) if (until <= now) this.#until.delete(key)
    if (this.none) return
    const last = waiting.filter((flight) => now - flight.since < LAST_MS && this.has(flight, now))
    if (last.length === 0 || last.length === waiting.length) return
    const behind = new Set(last)
    waiting.splice(0, waiting.length, ...waiting.filter((flight) => !behind.has(flight)), ...last)
  }

  /** Whether a request has waited through enough ends. `ends`: processes in a row that have answered nothing. */
  isHopeless(flight: Flight, { ends, now }: { readonly ends: number; readonly now: number }): boolean {
    if (flight.endsSeen >= ENDS_MAX && now - flight.since > WAIT_MS) return true
    return ends >= SUSPECT_ENDS_MAX && flight.endsSeen >= SUSPECT_ENDS_MAX && this.has(flight, now)
  }
}

function keyOf(subject: string): string {
  return (subject.split('?', 1)[0] ?? '').slice(0, SUBJECT_LENGTH_MAX)
}
