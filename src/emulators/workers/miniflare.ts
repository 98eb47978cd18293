import { createRequire } from 'node:module'
import type { Readable } from 'node:stream'

import { mendPlugins, type Plugins } from './bindings/mended-plugins.ts'

/**
 * The part of miniflare that is used, written down here because its own types depend on another major version of zod and come out as
 * `any`. This is also the list to go through when another version of miniflare is to be supported.
 */
export interface MiniflareModule {
  readonly Miniflare: new (options: MiniflareOptions) => Miniflare
  readonly Log: new (level: number) => MiniflareLog
  readonly LogLevel: { readonly INFO: number }
  readonly PLUGINS: Plugins
}

export interface Miniflare {
  readonly ready: Promise<URL>
  unsafeGetDirectURL(worker: string, entrypoint?: string): Promise<URL>
  getInspectorURL(): Promise<URL>
  dispose(): Promise<void>
}

export interface MiniflareLog {
  logWithLevel(level: number, message: string): void
}

export interface MiniflareOptions {
  readonly host: string
  readonly port: number
  readonly cf: object
  readonly log: MiniflareLog
  readonly logRequests: boolean
  readonly structuredWorkerdLogs: boolean
  readonly defaultPersistRoot: string
  /** A folder. */
  readonly cachePersist?: string
  readonly inspectorPort?: number | undefined
  handleRuntimeStdio(stdout: Readable, stderr: Readable): void
  readonly workers: readonly MiniflareWorker[]
}

type Named<T> = Readonly<Record<string, T>>

export interface MiniflareModuleSource {
  readonly type: 'ESModule' | 'CommonJS' | 'Text' | 'Data' | 'CompiledWasm'
  readonly path: string
  readonly contents: string | Uint8Array
}

/** The program: modules, the first of which is the entry, or a script that adds event listeners. */
export type MiniflareSource =
  | { readonly modules: readonly MiniflareModuleSource[]; readonly modulesRoot?: string }
  | { readonly script: string; readonly scriptPath?: string; readonly wasmBindings?: Named<string> }

/** A socket that leads to one worker alone; `entrypoint` is its default export when undefined. */
interface DirectSocket {
  readonly host: string
  readonly port: number
  readonly entrypoint?: string | undefined
}

export type MiniflareWorker = MiniflareSource &
  MiniflareBindings & {
    readonly name: string
    readonly compatibilityDate?: string
    readonly compatibilityFlags?: readonly string[]
    /** Whether its requests go out without its client's address; default true. */
    readonly stripCfConnectingIp?: boolean
    /** Whether it has a cache; default true. */
    readonly cache?: boolean
    readonly unsafeDirectSockets?: readonly DirectSocket[]
  }

/** Everything that becomes a property of `env`, or stands in front of the worker. Named by the binding where nothing else is said. */
export interface MiniflareBindings {
  readonly bindings?: Named<unknown>
  readonly kvNamespaces?: Named<string>
  readonly r2Buckets?: Named<string>
  readonly d1Databases?: Named<string>
  readonly secretsStoreSecrets?: Named<{ readonly store_id: string; readonly secret_name: string }>
  readonly analyticsEngineDatasets?: Named<{ readonly dataset: string }>
  readonly durableObjects?: Named<{
    readonly className: string
    /** Undefined for a class of this worker. */
    readonly scriptName?: string
    readonly useSQLite: boolean
  }>
  readonly additionalUnboundDurableObjects?: readonly {
    readonly className: string
    readonly useSQLite: boolean
  }[]
  readonly queueProducers?: Named<{ readonly queueName: string; readonly deliveryDelay?: number | undefined }>
  /** By the queue's name. */
  readonly queueConsumers?: Named<QueueConsumer>
  readonly workflows?: Named<{
    readonly name: string
    readonly className: string
    /** Undefined for a class of this worker. */
    readonly scriptName?: string
    readonly stepLimit?: number
    readonly compatibilityFlags?: readonly string[]
  }>
  readonly email?: { readonly send_email: readonly Sender[] }
  readonly serviceBindings?: Named<WorkerService | NetworkService>
  /** Who is told what this worker logged, and in what way it ended. */
  readonly tails?: readonly { readonly name: string }[]
  readonly streamingTails?: readonly { readonly name: string }[]
  readonly wrappedBindings?: Named<{ readonly scriptName: string; readonly bindings: Named<unknown> }>
  readonly hyperdrives?: Named<string>
  readonly ratelimits?: Named<{ readonly simple: { readonly limit: number; readonly period: number } }>
  readonly workerLoaders?: Named<Record<string, never>>
  /** The binding's name. */
  readonly versionMetadata?: string
  readonly images?: { readonly binding: string }
  readonly stream?: { readonly binding: string }
  readonly browserRendering?: { readonly binding: string }
  readonly pipelines?: Named<{ readonly pipeline: string }>
  readonly helloWorld?: Named<{ readonly enable_timer?: boolean | undefined }>
  readonly unsafeBindings?: readonly UnsafeBinding[]
  readonly wasmBindings?: Named<string>
  readonly textBlobBindings?: Named<string>
  readonly dataBlobBindings?: Named<string>
  readonly assets?: Assets
  /** Workers Sites: the folder behind `__STATIC_CONTENT`. */
  readonly sitePath?: string
  readonly siteInclude?: readonly string[]
  readonly siteExclude?: readonly string[]
}

export interface WorkerService {
  readonly name: string
  readonly entrypoint?: string
  readonly props?: Named<unknown>
}

/** Requests that go out over the network, with a certificate for those who ask for one. */
export interface NetworkService {
  readonly network: {
    readonly allow: readonly string[]
    readonly tlsOptions: {
      readonly trustBrowserCas: boolean
      readonly trustedCertificates: readonly string[]
      /** PEM. */
      readonly keypair: { readonly privateKey: string; readonly certificateChain: string }
    }
  }
}

/** A binding that a package of the project implements as a plugin of miniflare. */
interface UnsafeBinding {
  readonly name: string
  readonly type: string
  readonly plugin: { readonly package: string; readonly name: string }
  readonly options: Named<unknown>
}

interface QueueConsumer {
  readonly maxBatchSize?: number | undefined
  readonly maxBatchTimeout?: number | undefined
  readonly maxRetries?: number | undefined
  readonly deadLetterQueue?: string | undefined
  readonly retryDelay?: number | undefined
}

export interface Sender {
  readonly name: string
  readonly destination_address?: string | undefined
  readonly allowed_destination_addresses?: readonly string[] | undefined
  readonly allowed_sender_addresses?: readonly string[] | undefined
}

interface Assets {
  readonly directory: string
  readonly binding?: string
  readonly routerConfig: {
    readonly has_user_worker: boolean
    readonly invoke_user_worker_ahead_of_assets: boolean
    readonly static_routing?: {
      readonly user_worker: readonly string[]
      readonly asset_worker?: readonly string[]
    }
  }
  readonly assetConfig: {
    readonly html_handling?: string | undefined
    readonly not_found_handling?: string | undefined
  }
}

const require = createRequire(import.meta.url)

/** `require` loads the 4 MB bundle twice as fast as `import`, which reads it once more for its export names. */
export function loadMiniflare(): MiniflareModule {
  const miniflare = require('miniflare') as MiniflareModule
  mendPlugins(miniflare.PLUGINS)
  return miniflare
}
