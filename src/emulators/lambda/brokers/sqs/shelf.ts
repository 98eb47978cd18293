import type { StoredMessage } from './message.ts'

/** The order in which a queue hands out what is ready. */
export interface Shelf {
  /** One that is new, and one that is ready now or will be. */
  add(message: StoredMessage): void
  /** One that was delayed, or held, is ready. */
  ready(message: StoredMessage, was: 'delayed' | 'held'): void
  /** At most so many. `accept` says of each whether it may be handed out; one that may not is gone from the queue. */
  take(max: number, accept: (message: StoredMessage) => boolean): StoredMessage[]
  /** One is gone from the queue. */
  remove(message: StoredMessage): void
  clear(): void
}

/** First in, first out so far as nothing is held: SQS promises less. */
export class StandardShelf implements Shelf {
  #messages: StoredMessage[] = []
  #head = 0

  add(message: StoredMessage): void {
    if (message.state === 'ready') this.#messages.push(message)
  }

  ready(message: StoredMessage): void {
    this.#messages.push(message)
  }

  take(max: number, accept: (message: StoredMessage) => boolean): StoredMessage[] {
    const taken: StoredMessage[] = []
    while (taken.length < max) {
      const message = this.#messages[this.#head]
      if (message === undefined) break
      this.#head += 1
      if (message.state === 'ready' && accept(message)) taken.push(message)
    }
    this.#compact()
    return taken
  }

  /** Its state says so when its turn comes. */
  remove(): void {}

  clear(): void {
    this.#messages = []
    this.#head = 0
  }

  #compact(): void {
    if (this.#head < this.#messages.length && this.#head < 1024) return
    this.#messages = this.#messages.slice(this.#head)
    this.#head = 0
  }
}

interface Group {
  readonly id: string
  /** All that are not gone, in their order. */
  readonly messages: StoredMessage[]
  held: number
}

/** The messages of a group in their order; while one of them is held, the others of its group wait. */
export class FifoShelf implements Shelf {
  readonly #groups = new Map<string, Group>()
  /** Groups of which nothing is held, the one that waits longest first. */
  readonly #free = new Set<Group>()

  add(message: StoredMessage): void {
    const id = message.groupId ?? ''
    const group = this.#groups.get(id) ?? { id, messages: [], held: 0 }
    this.#groups.set(id, group)
    group.messages.push(message)
    if (group.held === 0) this.#free.add(group)
  }

  ready(message: StoredMessage, was: 'delayed' | 'held'): void {
    const group = this.#groups.get(message.groupId ?? '')
    if (group !== undefined && was === 'held') this.#release(group)
  }

  take(max: number, accept: (message: StoredMessage) => boolean): StoredMessage[] {
    const taken: StoredMessage[] = []
    for (const group of this.#free) {
      if (taken.length >= max) break
      takeOfGroup(group, taken, { max, accept })
      if (group.held > 0 || group.messages.length === 0) this.#free.delete(group)
      if (group.messages.length === 0) this.#groups.delete(group.id)
    }
    return taken
  }

  /** Whether it was held is told by its state. */
  remove(message: StoredMessage): void {
    const group = this.#groups.get(message.groupId ?? '')
    const index = group?.messages.indexOf(message) ?? -1
    if (group === undefined || index === -1) return
    group.messages.splice(index, 1)
    if (message.state === 'held') this.#release(group)
    if (group.messages.length > 0) return
    this.#groups.delete(group.id)
    this.#free.delete(group)
  }

  clear(): void {
    this.#groups.clear()
    this.#free.clear()
  }

  #release(group: Group): void {
    group.held -= 1
    if (group.held === 0) this.#free.add(group)
  }
}

function takeOfGroup(
  group: Group,
  taken: StoredMessage[],
  { max, accept }: { readonly max: number; readonly accept: (message: StoredMessage) => boolean },
): void {
  let index = 0
  while (taken.length < max) {
    const message = group.messages[index]
    if (message === undefined || message.state !== 'ready') return
    if (accept(message)) {
      taken.push(message)
      group.held += 1
      index += 1
    } else group.messages.splice(index, 1)
  }
}
