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
  /** What providers' files declare besides functions, by provider. */
  readonly resources: Readonly<Record<string, readonly unknown[]>>
}

/** What configuration files may say about the server; flags and the environment win. */
export interface ServerSettings {
  readonly port?: number | undefined
  readonly host?: string | undefined
  /** Undefined speaks plain HTTP. */
  readonly https?: HttpsSettings | undefined
  /** CIDR blocks and addresses of proxies whose X-Forwarded-* and Forwarded are believed; default none. */
  readonly trustedProxies?: readonly string[] | undefined
  /**
   * `checked` (default): a target with `..`, `//`, `%2e`, `\\` and the like is answered 400 when, made plain, another route would take it:
   * nobody reaches one route's server through another route. `raw` matches bytes alone, as FlexiLib does.
   */
  readonly paths?: 'checked' | 'raw' | undefined
}

/** Certificates by the names in them; without any, a local authority issues one for each name asked for. */
export interface HttpsSettings {
  readonly certificates: readonly CertificateFiles[]
}

/** PEM files: the certificate with its chain, and its key. */
export interface CertificateFiles {
  readonly cert: AbsolutePath
  readonly key: AbsolutePath
}
