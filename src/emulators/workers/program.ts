import type { AbsolutePath, Fault } from '../../core/place.ts'
import type { ModuleType } from './module-rules.ts'

/** A file that is a module of its own beside the bundle. */
export interface ExtraModule {
  readonly type: ModuleType
  /** Its name in the worker: `<hash>-<file name>`, or its path below the module root (`lib/a.mjs`). */
  readonly name: string
  readonly source: AbsolutePath
  readonly contents: Uint8Array
  /** Of JavaScript that comes with one. */
  readonly sourceMap?: string | undefined
}

/** A worker's program as workerd loads it. */
export interface Program {
  /** Its file name: `index.js`; with folders where it is not bundled. */
  readonly name: string
  readonly code: string
  /** Sources are absolute paths, or relative to the wrangler file's folder. */
  readonly sourceMap: string | undefined
  /** Text, data, wasm and unbundled JavaScript beside it. */
  readonly modules: readonly ExtraModule[]
  /** `addEventListener('fetch', …)` instead of exports. */
  readonly format: 'modules' | 'service-worker'
  /** Global → file, for wasm that a service worker imports. */
  readonly wasmGlobals?: Readonly<Record<string, AbsolutePath>> | undefined
  /** What the entry exports, where that is known. */
  readonly exports: readonly string[]
  readonly inputs: readonly AbsolutePath[]
  readonly inputBytes: ReadonlyMap<AbsolutePath, number>
  readonly hash: string
  readonly warnings: readonly Fault[]
}
