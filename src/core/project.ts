import type { FunctionConfig } from './function.ts'
import type { AbsolutePath, Fault } from './place.ts'
import type { RouteRule } from './route.ts'

/** Everything a directory says it wants served: read, merged and validated once; frozen. */
export interface Project {
  readonly directory: AbsolutePath
  readonly functions: readonly FunctionConfig[]
  /** In order; the first match wins. */
  readonly routes: readonly RouteRule[]
  /** Configuration files: a change in one of them means reading the project again. */
  readonly files: readonly AbsolutePath[]
  /** Warnings; errors were thrown. */
  readonly faults: readonly Fault[]
  readonly server: ServerSettings
}

/** What configuration files may say about the server; flags and the environment win. */
export interface ServerSettings {
  readonly port?: number | undefined
  readonly host?: string | undefined
}
