/** Names that the control worker of a bare runtime has for what it loads programs with. */
export const LOADER_BINDING = 'flexi:loader'
export const NETWORK_BINDING = 'flexi:network'
/** Its value is the binding that leads to the program: from the first `/load` on, it leads to what was loaded. */
export const LOADED_BINDING = 'flexi:loaded'

/** What `/load` takes. */
export interface LoadRequest {
  readonly compatibilityDate: string
  readonly compatibilityFlags: readonly string[]
  /** The entry first. */
  readonly modules: readonly LoadModule[]
  /** Plain values. */
  readonly env: Readonly<Record<string, unknown>>
}

export interface LoadModule {
  readonly name: string
  /** A key of workerd's Module; `data` and `wasm` are base64. */
  readonly kind: 'js' | 'cjs' | 'text' | 'data' | 'wasm'
  readonly contents: string
}

/**
 * JavaScript of the control worker (module.ts): exchanges the program inside the running process. Each revision is an isolate of its own;
 * requests under way stay in the one that they began in. workerd keeps the old ones, so the process is to be exchanged now and then.
 */
export const LOADER_SOURCE = `
let loaded
let loads = 0
const READY = 'flexi-ready.mjs'

async function handleLoad(request, url, env, ctx) {
  const { modules, ...options } = await request.json()
  loads += 1
  const all = { [READY]: { js: readyModule(modules[0].name) }, ...Object.fromEntries(modules.map(moduleOf)) }
  const next = { id: 'revision-' + loads, code: { ...options, mainModule: READY, modules: all } }
  try {
    // A load is lazy; asking for an entrypoint by its name makes it happen, without running a handler of the program.
    await revisionOf(next, env).getEntrypoint('flexiReady').ready()
  } catch (error) {
    return Response.json({ message: String(error?.message ?? error) }, { status: 422 })
  }
  loaded = next
  return new Response(null, { status: 204 })
}

/** Around the program, because an entrypoint must not be looked for in it that it has not. */
function readyModule(entry) {
  const from = JSON.stringify('./' + entry)
  return "import { WorkerEntrypoint } from 'cloudflare:workers'; export * from " + from + '; export { default } from ' + from +
    '; export class flexiReady extends WorkerEntrypoint { ready() { return true } }'
}

function moduleOf({ name, kind, contents }) {
  if (kind !== 'data' && kind !== 'wasm') return [name, { [kind]: contents }]
  return [name, { [kind]: Uint8Array.from(atob(contents), (letter) => letter.charCodeAt(0)).buffer }]
}

/** Stubs belong to the request that made them; the isolate behind them is found by its id. */
function revisionOf({ id, code }, env) {
  return env['${LOADER_BINDING}'].get(id, () => ({ ...code, allowExperimental: true, globalOutbound: env['${NETWORK_BINDING}'] }))
}

function serveLoaded(request, env, ctx) {
  return revisionOf(loaded, env).getEntrypoint().fetch(request)
}

/** The bindings as they lead now. */
function withLoaded(env) {
  return loaded === undefined ? env : { ...env, [env['${LOADED_BINDING}']]: revisionOf(loaded, env).getEntrypoint() }
}
`
