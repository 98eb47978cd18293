import { FlexiError } from '../core/errors.ts'
import type { SocketFetcher } from '../core/fetcher.ts'
import type {
  FixedAnswer,
  FunctionConfig,
  GuardHost,
  InvokeContext,
  InvokeResult,
  PlaceGuard,
} from '../core/function.ts'
import type { Logger } from '../core/log.ts'
import type { RouteRule } from '../core/route.ts'
import { emulatorOf } from '../emulators/registry.ts'

type InvokablePool = SocketFetcher & {
  invoke(payload: Uint8Array, context: InvokeContext): Promise<InvokeResult>
}

/** The functions that are served, by name. */
export type Pools = ReadonlyMap<string, { readonly entry: InvokablePool }>

export interface GuardOptions {
  /** As the project that is bound has them: those of `functions` may still be the old ones. */
  readonly configs: readonly FunctionConfig[]
  readonly functions: Pools
  readonly log: Logger
  /** `ApiHost.app`. */
  readonly app: object
  readonly closing: AbortSignal
}

/** Functions as their addresses reach them. */
export interface Guards {
  fetcher(name: string, options: unknown): Promise<SocketFetcher>
  /** Every function by its name, for `NAME.localhost` and `/_flexi/f/NAME/`. */
  ownAddresses(): Promise<ReadonlyMap<string, SocketFetcher>>
  /** How the provider of all these routes answers what none of them takes. */
  noRoute(routes: readonly RouteRule[]): FixedAnswer | undefined
}

/** What providers put before the addresses of their functions, for one route table. */
export function openGuards({ configs, functions, log, app, closing }: GuardOptions): Guards {
  const byName = new Map(configs.map((config) => [config.name, config]))
  const places = new Map<string, PlaceGuard | undefined>()
  const host: GuardHost = {
    log,
    app,
    closing,
    async invoke(name, payload, context) {
      return await poolOf(name, functions).invoke(payload, context)
    },
  }
  const placeOf = (provider: string): PlaceGuard | undefined => {
    if (!places.has(provider)) places.set(provider, emulatorOf(provider).openGuards?.(host))
    return places.get(provider)
  }
  const fetcher = async (name: string, options: unknown): Promise<SocketFetcher> => {
    const pool = poolOf(name, functions)
    const config = byName.get(name)
    if (config === undefined) return pool
    return (await placeOf(config.provider)?.({ config, options }, pool)) ?? pool
  }
  return {
    fetcher,
    noRoute(routes) {
      const targets = routes.map(({ target }) => (target.kind === 'function' ? target.name : ''))
      const providers = new Set(targets.map((name) => byName.get(name)?.provider))
      const [provider] = providers
      return provider === undefined || providers.size > 1 ? undefined : emulatorOf(provider).noRoute?.(routes)
    },
    async ownAddresses() {
      const names = [...functions.keys()]
      return new Map(
        await Promise.all(names.map(async (name) => [name, await fetcher(name, undefined)] as const)),
      )
    },
  }
}

function poolOf(name: string, functions: Pools): InvokablePool {
  const pool = functions.get(name)?.entry
  if (pool === undefined)
    throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `the project has no function called ${name}`)
  return pool
}
