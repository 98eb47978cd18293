import { dirname, resolve } from 'node:path'

import type { Config } from '../configuration.ts'
import type { MiniflareBindings, MiniflareWorker } from '../miniflare.ts'

export interface BindingInputs {
  readonly config: Config
  /** It runs deployed: nothing is done for it in our own process, or by a program of this machine. */
  readonly isShipped?: boolean | undefined
  /** Its name in the runtime. Two functions may be of one wrangler file: only the first has the file's name then. */
  readonly name?: string | undefined
  /** `.dev.vars`, `.env` and the function's own environment; they win over `vars`. */
  readonly variables: Readonly<Record<string, string>>
  /** The shell's environment, for connection strings and paths that it may name. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /**
   * The other workers of the runtime, by the names they have there. Undefined while nobody knows them: what is bound to another worker
   * throws then, and nothing is said about it.
   */
  readonly neighbours?: Neighbours | undefined
}

export type Neighbours = ReadonlyMap<string, Config>

/** A binding without a local counterpart. */
export interface Unavailable {
  readonly name: string
  /** Why, and what to do: the end of a sentence. */
  readonly reason: string
}

/** What one kind of binding comes to. */
export interface Mapped {
  /** In miniflare's words. */
  readonly options?: MiniflareBindings
  readonly unavailable?: readonly Unavailable[]
  /** One sentence each, for the person at the terminal. */
  readonly warnings?: readonly string[]
  /** Workers that exist only to be bound. Equal names are equal workers. */
  readonly workers?: readonly MiniflareWorker[]
}

/** Binding name → what it stands for, for lists of `{ binding, … }`. */
export function keyed<T extends { readonly binding: string }, V>(
  list: readonly T[] | undefined,
  value: (item: T) => V,
): Record<string, V> {
  return Object.fromEntries((list ?? []).map((item) => [item.binding, value(item)]))
}

/** An object without the keys that have no value: miniflare and workerd refuse some of those. */
export function defined<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> }
}

/** A path of the file starts at the file. */
export function atConfig(config: Config, path: string): string {
  return resolve(dirname(config.configPath ?? '.'), path)
}

/** Of `wasm_modules`, `text_blobs` and `data_blobs`: validation made them relative to where this process runs. */
export function blobPath(path: string): string {
  return resolve(path)
}

/** True for something that this worker exports itself. */
export function isOwn(config: Config, script: string | undefined): boolean {
  return script === undefined || script === config.name
}
