import type { SocketFetcher } from '../core/fetcher.ts'
import type { FunctionConfig } from '../core/function.ts'

interface Overlay {
  readonly config: FunctionConfig
  /** What the files said of that name when it was put there, as JSON; undefined when they did not have it. */
  readonly over: string | undefined
}

/** What providers' APIs put over the functions of the files, and beside them. */
export class Overlays {
  readonly #overlays = new Map<string, Overlay>()
  readonly #addresses = new Map<string, SocketFetcher>()

  /** Own addresses that no function of that name answers. */
  get addresses(): ReadonlyMap<string, SocketFetcher> {
    return this.#addresses
  }

  has(name: string): boolean {
    return this.#overlays.has(name)
  }

  /** `declared` is what the files say. Calling what is returned takes it back. */
  put(config: FunctionConfig, declared: readonly FunctionConfig[]): () => void {
    const before = this.#overlays.get(config.name)
    const over = declared.find(({ name }) => name === config.name)
    const overlay = { config, over: over === undefined ? undefined : said(over) }
    this.#overlays.set(config.name, overlay)
    return () => {
      if (this.#overlays.get(config.name) !== overlay) return
      if (before === undefined) this.#overlays.delete(config.name)
      else this.#overlays.set(config.name, before)
    }
  }

  remove(name: string): void {
    this.#overlays.delete(name)
  }

  address(name: string, fetcher: SocketFetcher | undefined): void {
    if (fetcher === undefined) this.#addresses.delete(name)
    else this.#addresses.set(name, fetcher)
  }

  /** What is to be served. Where the files say something else of a name than they did, their word counts again. */
  over(declared: readonly FunctionConfig[]): readonly FunctionConfig[] {
    const byName = new Map(declared.map((config) => [config.name, config]))
    for (const [name, { over }] of this.#overlays) {
      const now = byName.get(name)
      if (now !== undefined && said(now) !== over) this.#overlays.delete(name)
    }
    const changed = declared.map((config) => this.#overlays.get(config.name)?.config ?? config)
    const added = [...this.#overlays.values()].filter(({ config }) => !byName.has(config.name))
    return [...changed, ...added.map(({ config }) => config)]
  }
}

/** Where in its file a function stands says nothing of it. */
function said(config: FunctionConfig): string {
  return JSON.stringify({ ...config, origin: undefined })
}
