import { CONSOLE_NAME, consoleModule, type ConsoleMark } from './console-module.ts'
import { TELLING_SOURCE } from './facade-telling.ts'
import { WRAPPING_SOURCE } from './facade-wrapping.ts'

/** Names that only this start of a worker knows, so that no program meets them by accident. */
export interface FacadeNames {
  /** Response field that marks a failure of the program; its body is a ThrownRecord. */
  readonly faultField: string
  /** What a log line starts with that carries a ThrownRecord. */
  readonly logMark: string
  /** What marks the lines that the worker prints. */
  readonly console: ConsoleMark
}

/** What the facade tells about a value that was thrown. */
export interface ThrownRecord {
  readonly name: string
  readonly message: string
  readonly stack?: string | undefined
  readonly cause?: ThrownRecord | undefined
  /** Of an AggregateError, the first ones. */
  readonly errors?: readonly ThrownRecord[] | undefined
  /** Where it was caught when it was not a request: `scheduled`, `Counter.alarm`, `unhandled rejection`. */
  readonly source?: string | undefined
  /** One record may be told by a line and by an answer. */
  readonly id?: string | undefined
}

/** workerd answered in the program's place and did not say why in its answer: its log does. */
export const BARE_RECORD: ThrownRecord = {
  name: 'Error',
  message: 'The runtime answered in place of the worker.',
}

export const FACADE_NAME = 'flexi-facade.mjs'
/** The default entrypoint once more: a binding to this name leads past the worker's assets. */
export const SELF_ENTRYPOINT = 'flexiSelf'
/** The default entrypoint as other workers call it: what it throws is theirs to catch. */
export const CALLED_ENTRYPOINT = 'flexiCalled'

export interface FacadeOptions {
  /** The program's own module. */
  readonly program: string
  /** What it exports, where that is known. */
  readonly exports: readonly string[]
  readonly names: FacadeNames
  /** Stops a debugger where the program's own code begins. */
  readonly breakAtStart?: boolean | undefined
}

/**
 * A module around the program's own, which stays as it was built: throws become responses that tell name, message and stack, or lines where
 * there is no request. Content that the program did not read is left alone: the program may have handed it on.
 */
export function facadeModule({ program, exports, names, breakAtStart = false }: FacadeOptions): string {
  const path = JSON.stringify(`./${program}`)
  const entrypoints = exports
    .filter(
      (name) =>
        name !== 'default' &&
        name !== SELF_ENTRYPOINT &&
        name !== CALLED_ENTRYPOINT &&
        /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name),
    )
    .map(
      (name, at) =>
        `const entrypoint${at} = wrapExport(program.${name}, '${name}')\nexport { entrypoint${at} as ${name} }`,
    )
  return `import ${JSON.stringify(`./${CONSOLE_NAME}`)}
import { DurableObject, WorkerEntrypoint, WorkflowEntrypoint } from 'cloudflare:workers'
import * as program from ${path}
export * from ${path}
${constants(names, breakAtStart)}
${TELLING_SOURCE}
${WRAPPING_SOURCE}
export { wrapped as default, wrapped as ${SELF_ENTRYPOINT}, called as ${CALLED_ENTRYPOINT} }
${entrypoints.join('\n')}
`
}

/** What the sources of ours need to know. */
function constants(names: FacadeNames, breakAtStart: boolean): string {
  return `const FIELD = ${JSON.stringify(names.faultField)}
const MARK = ${JSON.stringify(names.logMark)}
const TOKEN = ${JSON.stringify(names.console.token)}
const BREAKS = ${breakAtStart}`
}

/** A program that listens for events, with the same around it; `lines` is how many come before its own. */
export function facadeScript(
  code: string,
  { names, breakAtStart = false }: Pick<FacadeOptions, 'names' | 'breakAtStart'>,
): { readonly script: string; readonly lines: number } {
  const before = `(() => {
{
${consoleModule(names.console)}}
${constants(names, breakAtStart)}
${TELLING_SOURCE}
${LISTENING_SOURCE}
})()
`
  return { script: before + code, lines: before.split('\n').length - 1 }
}

/** Wraps the listeners that the program adds after this. */
const LISTENING_SOURCE = `
const add = addEventListener
let isServed = false

// Where nobody listens, the runtime asks the origin: that is flexi, which would ask this program again, and so on.
add('fetch', (given) => {
  if (isServed) return
  const error = new TypeError('The program exports nothing, and listens for no fetch event.')
  given.respondWith(failed(given.request, error))
})

function listenTo(type, listener) {
  if (type === 'fetch')
    return (given) => {
      const respond = given.respondWith.bind(given)
      const value = (answered) => respond(answer(given.request, () => answered))
      Object.defineProperty(given, 'respondWith', { value, configurable: true })
      watchContext(given)
      try {
        return begin(() => listener(given))
      } catch (error) {
        respond(failed(given.request, error))
      }
    }
  return (given) => {
    watchContext(given)
    return event(type, () => listener(given))
  }
}

globalThis.addEventListener = (type, listener, ...rest) => {
  if (type === 'fetch') isServed = true
  const isEvent = typeof listener === 'function' && ['fetch', 'scheduled', 'queue', 'email', 'trace', 'tail'].includes(type)
  return add(type, isEvent ? listenTo(type, listener) : listener, ...rest)
}
`

/** Serves 404 for everything that is no asset. */
export const ASSETS_ONLY_MODULE = `export default { fetch: () => new Response('Not found', { status: 404 }) }\n`
