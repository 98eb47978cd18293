import type { ApiFunction, ApiHost, Emulator, ProviderApi } from '../core/function.ts'
import type { SocketFetcher } from '../core/fetcher.ts'
import type { Logger } from '../core/log.ts'
import type { ServedFunction } from './served-function.ts'

/** What of the running project the providers' APIs show. */
interface ServedProject {
  readonly served: ReadonlyMap<string, ServedFunction>
  /** For the functions' own addresses. */
  readonly project: { readonly functions: readonly { readonly name: string }[] }
}

export interface ProviderApisOptions {
  readonly emulators: Readonly<Record<string, Emulator>>
  readonly live: ServedProject
  readonly log: Logger
  /** Where flexi's own paths begin, once the server listens. */
  readonly control: () => string
}

export interface ProviderApis extends AsyncDisposable {
  /** For the gateway, by the segment below the control prefix. */
  readonly mounts: ReadonlyMap<string, SocketFetcher>
}

/** The APIs that providers' SDKs talk to. Nothing of one is loaded before its first request. */
export function openProviderApis(options: ProviderApisOptions): ProviderApis {
  const apis = Object.values(options.emulators).flatMap(({ name, api }) =>
    api === undefined ? [] : [mounted(api, hostOf(name, options))],
  )
  return {
    mounts: new Map(apis.map(({ mount, fetcher }) => [mount, fetcher])),
    async [Symbol.asyncDispose]() {
      await Promise.all(apis.map((api) => api.dispose()))
    },
  }
}

function mounted(api: ProviderApi, host: ApiHost) {
  let opened: ReturnType<ProviderApi['open']> | undefined
  const fetcher: SocketFetcher = {
    async handle(incoming, outgoing, context) {
      opened ??= api.open(host)
      await (await opened).handle(incoming, outgoing, context)
    },
  }
  return { mount: api.mount, fetcher, dispose: async () => (await opened)?.[Symbol.asyncDispose]() }
}

function hostOf(provider: string, { live, log, control }: ProviderApisOptions): ApiHost {
  const find = (name: string): ApiFunction | undefined => {
    const served = live.served.get(name)
    return served?.config.provider === provider ? apiFunction(served, control) : undefined
  }
  return {
    log: log.child({ api: provider }),
    functions: () => live.project.functions.flatMap(({ name }) => find(name) ?? []),
    find,
  }
}

function apiFunction(served: ServedFunction, control: () => string): ApiFunction {
  const { name, pool } = served
  return {
    config: served.config,
    get url() {
      return `${control()}/f/${name}/`
    },
    get revision() {
      return pool.state().revision
    },
    invoke: (payload, context) => pool.invoke(payload, context),
  }
}
