import type { SocketFetcher } from '../../../core/fetcher.ts'
import type { PlaceGuard } from '../../../core/function.ts'
import { VERSION } from '../definition.ts'
import { letPass, passageOf } from '../front-ends/passage.ts'
import { jsonAnswer } from '../front-ends/refusals.ts'
import { placeGuards } from '../front-ends/place-guard.ts'
import type { CorsOptions } from '../front-ends/route-options.ts'
import type { Deployments } from './deployments.ts'
import type { FoundFunction } from './functions.ts'
import { Input } from './input.ts'
import { runningOf } from './service.ts'
import type { UrlState } from './state.ts'

/** What the API's function URLs answer, at a function's own address, or at one of an alias: `/_flexi/f/hello:live/`. */
export class Urls {
  readonly #deployments: Deployments
  readonly #guard: PlaceGuard

  constructor(deployments: Deployments) {
    const { log, app } = deployments.functions.host
    this.#deployments = deployments
    // A URL has no authorizer, so nothing is ever invoked for one.
    this.#guard = placeGuards({
      log,
      app,
      invoke: () => Promise.reject(new Error('a URL has no authorizer')),
    })
  }

  /** Serves those that were kept. */
  async restore(): Promise<void> {
    const { functions } = this.#deployments
    for (const [name, { urls }] of Object.entries(functions.store.state.functions))
      for (const qualifier of Object.keys(urls)) await this.serve(name, qualifier)
  }

  /** From now on the address is as the URL says; without one, as it is by itself. */
  async serve(name: string, qualifier: string): Promise<void> {
    const { functions } = this.#deployments
    const { host } = functions
    const projectName = functions.served(name)?.config.name ?? name
    const address = qualifier === VERSION ? projectName : `${projectName}:${qualifier}`
    const url = functions.kept(name).urls[qualifier]
    const config = functions.served(name)?.config
    if (url === undefined || config === undefined) return host.address(address, undefined)
    const target = this.#target(name, qualifier)
    const options = { frontEnd: 'function-url', cors: corsOf(url) } as const
    host.address(address, (await this.#guard({ config, options }, target)) ?? target)
  }

  /** `http://127.0.0.1:8069/_flexi/f/hello:live/` */
  addressOf({ served, qualifier = VERSION }: FoundFunction): string {
    return qualifier === VERSION ? served.url : served.url.replace(/\/$/, `:${qualifier}/`)
  }

  #target(name: string, qualifier: string): SocketFetcher {
    const { functions } = this.#deployments
    return {
      handle: async (incoming, outgoing, context) => {
        const served = functions.served(name)
        const url = functions.kept(name).urls[qualifier]
        const isAlias = qualifier !== VERSION
        const gone =
          served === undefined || (isAlias && functions.alias(name, qualifier, served) === undefined)
        if (gone || url === undefined) {
          outgoing.writeHead(FORBIDDEN.status, [...FORBIDDEN.fields]).end(FORBIDDEN.body)
          return
        }
        const found: FoundFunction = { name, served, qualifier: isAlias ? qualifier : undefined }
        const running = await runningOf(this.#deployments, found)
        letPass(context, {
          ...passageOf(context),
          qualifier: found.qualifier,
          streams: url.invokeMode === 'RESPONSE_STREAM',
        })
        context.note({ function: served.config.name })
        await running.served.fetcher.handle(incoming, outgoing, context)
      },
    }
  }
}

const FORBIDDEN = jsonAnswer(
  403,
  '{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}',
  'AccessDeniedException',
)

function corsOf({ cors }: UrlState): CorsOptions | undefined {
  if (cors === undefined) return undefined
  const input = new Input(cors)
  return {
    allowOrigins: input.texts('AllowOrigins'),
    allowMethods: input.texts('AllowMethods'),
    allowHeaders: input.texts('AllowHeaders'),
    exposeHeaders: input.texts('ExposeHeaders'),
    maxAge: input.integer('MaxAge', { min: 0, max: 86_400 }),
    allowCredentials: input.flag('AllowCredentials'),
  }
}
