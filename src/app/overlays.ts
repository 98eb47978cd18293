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
    this.#overlays.set(config.name, { config, over: said(over) })
    return () => this.#restore(config.name, before)
  }

  /** Calling what is returned takes it back. */
  remove(name: string): () => void {
    const before = this.#overlays.get(name)
    this.#overlays.delete(name)
    return () => this.#restore(name, before)
  }

  address(name: string, fetcher: SocketFetcher | undefined): void {
    if (fetcher === undefined) this.#addresses.delete(name)
    else this.#addresses.set(name, fetcher)
  }

  /** What is to be served. Where the files say something else of a name than they did, their word counts again. */
  over(declared: readonly FunctionConfig[]): readonly FunctionConfig[] {
    const over = this.#standing(declared)
    const changed = declared.map((config) => over.get(config.name) ?? config)
    const names = new Set(declared.map(({ name }) => name))
    return [...changed, ...[...over.values()].filter(({ name }) => !names.has(name))]
  }

  /** What the files say is in force: forgets what they overrule. */
  keep(declared: readonly FunctionConfig[]): void {
    const standing = this.#standing(declared)
    for (const name of this.#overlays.keys()) if (!standing.has(name)) this.#overlays.delete(name)
  }

  #standing(declared: readonly FunctionConfig[]): ReadonlyMap<string, FunctionConfig> {
    const byName = new Map(declared.map((config) => [config.name, config]))
    const standing = [...this.#overlays].filter(([name, { over }]) => said(byName.get(name)) === over)
    return new Map(standing.map(([name, { config }]) => [name, config]))
  }

  #restore(name: string, overlay: Overlay | undefined): void {
    if (overlay === undefined) this.#overlays.delete(name)
    else this.#overlays.set(name, overlay)
  }
}

/** Where in its file a function stands says nothing of it. */
function said(config: FunctionConfig | undefined): string | undefined {
  return config === undefined ? undefined : JSON.stringify({ ...config, origin: undefined })
}
