/** Names that only this start of a worker knows, so that no program meets them by accident. */
export interface FacadeNames {
  /** Response field that marks a failure of the program; its body is a ThrownRecord. */
  readonly faultField: string
  /** What a log line starts with that carries a ThrownRecord. */
  readonly logMark: string
}

/** What the facade tells about a value that was thrown. */
export interface ThrownRecord {
  readonly name: string
  readonly message: string
  readonly stack?: string | undefined
  readonly cause?: ThrownRecord | undefined
  /** Where it was caught when it was not a request: `scheduled`, `unhandled rejection`. */
  readonly source?: string | undefined
}

export const FACADE_NAME = 'flexi-facade.mjs'

/**
 * A module around the program's own, which stays as it was built: throws become responses that tell name, message and stack, and a
 * request's content is read to its end even when the program did not, because workerd resets the connection under the answer otherwise.
 */
export function facadeModule(program: string, { faultField, logMark }: FacadeNames): string {
  return `import * as program from ${JSON.stringify(`./${program}`)}
export * from ${JSON.stringify(`./${program}`)}
const FIELD = ${JSON.stringify(faultField)}
const MARK = ${JSON.stringify(logMark)}
${FACADE}`
}

const FACADE = `
const worker = program.default
const write = console.error

function describe(error, depth = 0) {
  if (typeof error !== 'object' || error === null || typeof error.stack !== 'string')
    return { name: error === null ? 'null' : typeof error, message: String(error) }
  const cause = error.cause === undefined || depth > 3 ? undefined : describe(error.cause, depth + 1)
  return { name: String(error.name), message: String(error.message), stack: error.stack, cause }
}

function tell(source, error) {
  write(MARK + JSON.stringify({ ...describe(error), source }))
}

function failed(request, error) {
  if (request.headers.has('upgrade')) {
    tell('fetch', error)
    return new Response('error code: 1101', { status: 500 })
  }
  const headers = { [FIELD]: '1', 'content-type': 'application/json' }
  return new Response(JSON.stringify(describe(error)), { status: 500, headers })
}

async function drain(request) {
  if (request.body === null || request.bodyUsed || request.body.locked) return
  try {
    const reader = request.body.getReader()
    while (!(await reader.read()).done);
  } catch {}
}

async function answer(request, call) {
  try {
    const response = await call()
    if (!(response instanceof Response))
      throw new TypeError('The fetch handler returned ' + (response === null ? 'null' : typeof response) + ' and not a Response.')
    return response
  } catch (error) {
    return failed(request, error)
  } finally {
    await drain(request)
  }
}

async function event(name, call) {
  try {
    return await call()
  } catch (error) {
    tell(name, error)
    throw error
  }
}

function wrapObject() {
  const handlers = {}
  for (const name of ['scheduled', 'queue', 'email', 'tail', 'tailStream', 'trace', 'test', 'connect'])
    if (typeof worker[name] === 'function') handlers[name] = (...rest) => event(name, () => worker[name](...rest))
  if (typeof worker.fetch === 'function')
    handlers.fetch = (request, env, ctx) => answer(request, () => worker.fetch(request, env, ctx))
  return handlers
}

function wrapClass() {
  if (typeof worker.prototype?.fetch !== 'function') return worker
  return class extends worker {
    fetch(request) {
      return answer(request, () => super.fetch(request))
    }
  }
}

function withoutHandler() {
  const missing = () => {
    throw new TypeError('The program has no default export with a fetch handler.')
  }
  return { fetch: (request) => answer(request, missing) }
}

addEventListener('unhandledrejection', ({ reason }) => tell('unhandled rejection', reason))
addEventListener('error', ({ error, message }) => tell('uncaught', error ?? message))

const wrapped = typeof worker === 'function' ? wrapClass() : typeof worker === 'object' && worker !== null ? wrapObject() : {}
const isEmpty = typeof wrapped === 'object' && Object.keys(wrapped).length === 0
export default isEmpty ? withoutHandler() : wrapped
`

/** Serves 404 for everything that is no asset. */
export const ASSETS_ONLY_MODULE = `export default { fetch: () => new Response('Not found', { status: 404 }) }\n`
