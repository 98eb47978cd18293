import type { BindingInputs, Mapped, Unavailable } from './bindings/inputs.ts'
import type { MiniflareWorker } from './miniflare.ts'

export type { Unavailable } from './bindings/inputs.ts'

const NETWORK = 'it exists only on Cloudflare’s network'
const DISPATCH = 'workers of a dispatch namespace exist only on Cloudflare’s network; bind one as a service'

/** The bindings of a configuration that have no local form, in the order of the file's own documentation. */
export function unavailableBindings({ config }: BindingInputs): Mapped {
  const remote = (item: { binding: string }): Unavailable => ({ name: item.binding, reason: NETWORK })
  const single = (item: { binding: string } | undefined): Unavailable[] =>
    item === undefined ? [] : [remote(item)]
  const named = (list: readonly { binding: string }[] | undefined): Unavailable[] => (list ?? []).map(remote)
  return {
    unavailable: [
      ...single(config.ai),
      ...single(config.media),
      ...single(config.websearch),
      ...REMOTE_LISTS.flatMap((key) => named(config[key])),
      ...config.dispatch_namespaces.map(({ binding }) => ({ name: binding, reason: DISPATCH })),
      ...config.logfwdr.bindings.map(({ name }) => ({ name, reason: NETWORK })),
    ],
  }
}

/** Lists of `{ binding, … }` whose services have no local form. */
const REMOTE_LISTS = [
  'vectorize',
  'ai_search_namespaces',
  'ai_search',
  'agent_memory',
  'artifacts',
  'flagship',
  'vpc_services',
  'vpc_networks',
] as const satisfies readonly (keyof BindingInputs['config'])[]

const STUB_WORKER = 'flexi-unavailable'

/**
 * Wrapped bindings that throw their reason on the first use, in place of `undefined` and a TypeError about it.
 * The stub answers nothing to what the runtime itself looks for while it starts: symbols, `then` and `toJSON`.
 */
export function unavailableStubs(unavailable: readonly Unavailable[]): {
  bindings: NonNullable<MiniflareWorker['wrappedBindings']>
  workers: readonly MiniflareWorker[]
} {
  if (unavailable.length === 0) return { bindings: {}, workers: [] }
  const bindings = unavailable.map(({ name, reason }) => [
    name,
    {
      scriptName: STUB_WORKER,
      bindings: { MESSAGE: `the binding ${name} is not available here: ${reason}` },
    },
  ])
  const modules = [{ type: 'ESModule' as const, path: 'stub.mjs', contents: STUB }]
  return {
    bindings: Object.fromEntries(bindings) as NonNullable<MiniflareWorker['wrappedBindings']>,
    workers: [{ name: STUB_WORKER, modules }],
  }
}

// What a call returns rejects, and so does whatever is called on that: `env.DISPATCH.get('x').fetch(request)` as well as
// `env.AI.run(…).catch(…)`. A call that nobody waits for is an unhandled rejection, which is told.
const STUB = `export default ({ MESSAGE }) => {
  const refuse = () => {
    const error = new Error(MESSAGE)
    Error.captureStackTrace?.(error, refuse)
    const refused = Promise.reject(error)
    refused.catch(() => undefined)
    let isWaitedFor = false
    // An await asks for \`then\` later than the runtime looks for handlers.
    Promise.resolve().then(() => undefined).then(() => isWaitedFor || Promise.reject(error))
    return new Proxy(refused, {
      get(target, key) {
        if (typeof key === 'symbol') return undefined
        isWaitedFor = true
        return key === 'then' || key === 'catch' || key === 'finally' ? target[key].bind(target) : refuse
      },
    })
  }
  return new Proxy({}, {
    get(target, key) {
      if (typeof key === 'symbol' || key === 'then' || key === 'toJSON') return undefined
      return refuse
    },
  })
}
`
