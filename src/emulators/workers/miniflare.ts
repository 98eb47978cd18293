import { createRequire } from 'node:module'
import type { Readable } from 'node:stream'

/**
 * The part of miniflare that is used, written down here because its own types depend on another major version of zod and come out as
 * `any`. This is also the list to go through when another version of miniflare is to be supported.
 */
export interface MiniflareModule {
  readonly Miniflare: new (options: MiniflareOptions) => Miniflare
  readonly Log: new (level: number) => MiniflareLog
  readonly LogLevel: { readonly WARN: number }
}

export interface Miniflare {
  readonly ready: Promise<URL>
  unsafeGetDirectURL(worker: string): Promise<URL>
  dispose(): Promise<void>
}

export interface MiniflareLog {
  log(text: string): void
}

export interface MiniflareOptions {
  readonly host: string
  readonly port: number
  readonly cf: object
  readonly log: MiniflareLog
  readonly logRequests: boolean
  readonly structuredWorkerdLogs: boolean
  readonly unsafeTriggerHandlers: boolean
  readonly defaultPersistRoot: string
  readonly inspectorPort?: number | undefined
  handleRuntimeStdio(stdout: Readable, stderr: Readable): void
  readonly workers: readonly MiniflareWorker[]
}

type Named<T> = Readonly<Record<string, T>>

export interface MiniflareModuleSource {
  readonly type: 'ESModule' | 'Text' | 'Data' | 'CompiledWasm'
  readonly path: string
  readonly contents: string | Uint8Array
}

/** The program: modules, the first of which is the entry, or a script that adds event listeners. */
export type MiniflareSource =
  | { readonly modules: readonly MiniflareModuleSource[]; readonly modulesRoot?: string }
  | { readonly script: string }

export type MiniflareWorker = MiniflareSource &
  MiniflareBindings & {
    readonly name: string
    readonly compatibilityDate?: string
    readonly compatibilityFlags?: readonly string[]
    readonly unsafeDirectSockets?: readonly { readonly host: string; readonly port: number }[]
    readonly wrappedBindings?: Named<{ readonly scriptName: string; readonly bindings: Named<unknown> }>
  }

/** Everything that becomes a property of `env`, or stands in front of the worker. Named by the binding where nothing else is said. */
export interface MiniflareBindings {
  readonly bindings?: Named<unknown>
  readonly kvNamespaces?: Named<string>
  readonly r2Buckets?: Named<string>
  readonly d1Databases?: Named<string>
  readonly secretsStoreSecrets?: Named<{ readonly store_id: string; readonly secret_name: string }>
  readonly analyticsEngineDatasets?: Named<{ readonly dataset: string }>
  readonly durableObjects?: Named<{ readonly className: string; readonly useSQLite: boolean }>
  readonly additionalUnboundDurableObjects?: readonly {
    readonly className: string
    readonly useSQLite: boolean
  }[]
  readonly queueProducers?: Named<{ readonly queueName: string; readonly deliveryDelay?: number | undefined }>
  /** By the queue's name. */
  readonly queueConsumers?: Named<QueueConsumer>
  readonly workflows?: Named<{ readonly name: string; readonly className: string }>
  readonly email?: { readonly send_email: readonly Sender[] }
  readonly serviceBindings?: Named<{
    readonly name: string
    readonly entrypoint?: string
    readonly props?: Named<unknown>
  }>
  readonly hyperdrives?: Named<string>
  readonly ratelimits?: Named<{ readonly simple: { readonly limit: number; readonly period: number } }>
  readonly workerLoaders?: Named<Record<string, never>>
  /** The binding's name. */
  readonly versionMetadata?: string
  readonly images?: { readonly binding: string }
  readonly wasmBindings?: Named<string>
  readonly textBlobBindings?: Named<string>
  readonly dataBlobBindings?: Named<string>
  readonly assets?: Assets
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
  return require('miniflare') as MiniflareModule
}
