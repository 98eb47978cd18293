/** How long SQS and SNS remember what was sent to a FIFO queue or topic. */
const REMEMBERED_MS = 5 * 60_000

/** What was sent in the last five minutes, by what makes it the same. */
export class Deduplication<Sent> {
  readonly #sent = new Map<string, { readonly at: number; readonly value: Sent }>()

  find(key: string, now: number): Sent | undefined {
    this.#forget(now)
    return this.#sent.get(key)?.value
  }

  add(key: string, value: Sent, now: number): void {
    this.#sent.set(key, { at: now, value })
  }

  clear(): void {
    this.#sent.clear()
  }

  #forget(now: number): void {
    for (const [key, { at }] of this.#sent) {
      if (at + REMEMBERED_MS > now) return
      this.#sent.delete(key)
    }
  }
}
