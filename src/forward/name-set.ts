/** Lower-case names of fields, asked with names in any case: most misses cost neither a lower-cased copy nor a hash. */
export class NameSet {
  readonly #names: ReadonlySet<string>
  /** By length: a bit for each first letter. */
  readonly #initials: readonly number[]

  constructor(...names: readonly string[]) {
    this.#names = new Set(names)
    const initials: number[] = Array.from(
      { length: Math.max(0, ...names.map((name) => name.length)) + 1 },
      () => 0,
    )
    for (const name of names) initials[name.length] = (initials[name.length] ?? 0) | initialBit(name)
    this.#initials = initials
  }

  has(name: string): boolean {
    const initials = this.#initials[name.length]
    if (initials === undefined || (initials & initialBit(name)) === 0) return false
    return this.#names.has(name.toLowerCase())
  }
}

/** The same for upper and lower case: the last five bits of a letter count it from A. */
function initialBit(name: string): number {
  return 1 << (name.charCodeAt(0) & 31)
}
