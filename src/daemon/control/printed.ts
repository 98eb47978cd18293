const LINES_MAX = 50

/** What functions printed while they were started: the last lines of each, for whoever must mend one. */
export class Printed {
  readonly #lines = new Map<string, string[]>()

  add(name: string, text: string): void {
    const lines = this.#lines.get(name) ?? []
    this.#lines.set(name, lines)
    lines.push(text)
    if (lines.length > LINES_MAX) lines.shift()
  }

  /** What the error itself carries (`LogTail`), else what was heard until it came. */
  tail(error: unknown, name: string | undefined): readonly string[] {
    const told: unknown = error instanceof Error ? Reflect.get(error, 'log') : undefined
    const lines = Array.isArray(told) && told.length > 0 ? told.map(String) : this.#lines.get(name ?? '')
    return (lines ?? []).slice(-LINES_MAX)
  }
}
