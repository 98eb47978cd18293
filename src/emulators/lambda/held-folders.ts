/** Folders that functions of this process run from. */
export class HeldFolders {
  readonly #holders = new Map<string, number>()

  has(folder: string): boolean {
    return this.#holders.has(folder)
  }

  /** It stays, whatever has taken its place, until what is returned is called, once. */
  hold(folder: string): () => void {
    this.#holders.set(folder, (this.#holders.get(folder) ?? 0) + 1)
    return () => {
      const left = (this.#holders.get(folder) ?? 1) - 1
      if (left > 0) this.#holders.set(folder, left)
      else this.#holders.delete(folder)
    }
  }
}
