/** A service of workerd's configuration, as far as it is looked at here. */
export interface Service {
  readonly name: string
  readonly external?: object | undefined
  readonly disk?: object | undefined
  readonly worker?:
    | {
        readonly modules?: readonly { readonly name: string; readonly esModule?: string }[] | undefined
        readonly bindings?: readonly ServiceBinding[] | undefined
        readonly durableObjectNamespaces?: readonly object[] | undefined
        readonly durableObjectStorage?: object | undefined
      }
    | undefined
}

export interface ServiceBinding {
  readonly name: string
  readonly json?: string | undefined
  readonly data?: Uint8Array | undefined
  readonly service?: { readonly name: string } | undefined
  readonly durableObjectNamespace?: { readonly serviceName?: string } | undefined
  readonly hyperdrive?: { readonly designator: { readonly name: string } } | undefined
}

interface PluginOptions {
  readonly assets?: { readonly directory: string } | undefined
  readonly hyperdrives?: Readonly<Record<string, URL>> | undefined
}

export interface ServicesOptions {
  readonly workerIndex: number
  /** The runtime's scratch folder. */
  readonly tmpPath: string
  /** Where stored data is kept. */
  readonly defaultPersistRoot?: string | undefined
  readonly options: PluginOptions
  readonly hyperdriveProxyController: ProxyController
  /** Of all workers, by their bindings. */
  readonly queueProducers?: ReadonlyMap<string, { readonly queueName: string }> | undefined
}

/** Opens servers of miniflare's own that negotiate TLS with databases. */
export interface ProxyController {
  /** Resolves with the server's port. */
  createProxyServer(config: {
    readonly targetHost: string
    readonly targetPort: string
    readonly scheme: string
    readonly sslmode: string
  }): Promise<number>
  dispose: () => void
}

/** A kind of binding in miniflare: what stands in a worker's `env`, and what the runtime needs for it. */
export interface Plugin {
  getBindings: (options: PluginOptions, workerIndex: number) => unknown
  getServices: (options: ServicesOptions) => unknown
}
