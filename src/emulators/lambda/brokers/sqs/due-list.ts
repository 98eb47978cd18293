import type { StoredMessage } from './message.ts'

interface Entry {
  readonly message: StoredMessage
  readonly dueAt: number
}

/** Messages that become ready by themselves, the next one first: a binary heap. Entries of messages that moved on are left out. */
export class DueList {
  #entries: Entry[] = []
  #compactAt = 1024

  add(message: StoredMessage): void {
    if (this.#entries.length >= this.#compactAt) this.#compact()
    this.#entries.push({ message, dueAt: message.dueAt })
    this.#rise(this.#entries.length - 1)
  }

  /** When the next one is due. */
  next(): number | undefined {
    this.#dropStale()
    return this.#entries[0]?.dueAt
  }

  /** The next one that is due by then. */
  take(now: number): StoredMessage | undefined {
    const dueAt = this.next()
    return dueAt === undefined || dueAt > now ? undefined : this.#pop()?.message
  }

  clear(): void {
    this.#entries = []
  }

  #dropStale(): void {
    for (;;) {
      const [first] = this.#entries
      if (first === undefined || isCurrent(first)) return
      this.#pop()
    }
  }

  #pop(): Entry | undefined {
    const [first] = this.#entries
    const last = this.#entries.pop()
    if (last !== undefined && this.#entries.length > 0) {
      this.#entries[0] = last
      this.#sink(0)
    }
    return first
  }

  /** Messages that were handled long before they were due would be kept until then. */
  #compact(): void {
    this.#entries = this.#entries.filter(isCurrent).toSorted((left, right) => left.dueAt - right.dueAt)
    this.#compactAt = Math.max(1024, this.#entries.length * 2)
  }

  #at(index: number): number {
    return this.#entries[index]?.dueAt ?? Infinity
  }

  #swap(one: number, other: number): void {
    const [left, right] = [this.#entries[one], this.#entries[other]]
    if (left === undefined || right === undefined) return
    this.#entries[one] = right
    this.#entries[other] = left
  }

  #rise(start: number): void {
    for (let index = start; index > 0;) {
      const parent = (index - 1) >> 1
      if (this.#at(parent) <= this.#at(index)) return
      this.#swap(parent, index)
      index = parent
    }
  }

  #sink(start: number): void {
    for (let index = start; ;) {
      const left = 2 * index + 1
      const child = this.#at(left + 1) < this.#at(left) ? left + 1 : left
      if (this.#at(child) >= this.#at(index)) return
      this.#swap(child, index)
      index = child
    }
  }
}

function isCurrent({ message, dueAt }: Entry): boolean {
  return (message.state === 'held' || message.state === 'delayed') && message.dueAt === dueAt
}
