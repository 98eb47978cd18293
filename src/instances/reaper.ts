/** Looks again and again for what nobody has used for `idleInstanceMs`. Keeps no process running. */
export class Reaper implements Disposable {
  readonly #limits: { readonly idleInstanceMs: number }
  readonly #reap: (idleMs: number) => void
  #timer: NodeJS.Timeout | undefined

  constructor(limits: { readonly idleInstanceMs: number }, reap: (idleMs: number) => void) {
    this.#limits = limits
    this.#reap = reap
    this.restart()
  }

  /** The limit is another. */
  restart(): void {
    const { idleInstanceMs } = this.#limits
    clearInterval(this.#timer)
    this.#timer = setInterval(() => this.#reap(idleInstanceMs), Math.max(50, idleInstanceMs / 4)).unref()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
