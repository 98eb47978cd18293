/**
 * JavaScript that runs around a program: tells what it throws. Needs FIELD, MARK, BREAKS (facade.ts). No backslash may stand in it but for
 * those of this text.
 */
export const TELLING_SOURCE = `
const write = console.error
const told = new WeakSet()
let breaks = BREAKS
let records = 0

function describe(error, depth = 0) {
  if (typeof error !== 'object' || error === null || typeof error.stack !== 'string')
    return { name: error === null ? 'null' : typeof error, message: text(error) }
  const deeper = (inner) => describe(inner, depth + 1)
  return {
    name: text(error.name, 200),
    message: text(error.message, depth === 0 ? LONG : SHORT),
    stack: stackOf(error.stack, depth === 0 ? LONG : SHORT),
    cause: error.cause === undefined || depth > 3 ? undefined : deeper(error.cause),
    errors: Array.isArray(error.errors) && depth < 2 ? error.errors.slice(0, 5).map(deeper) : undefined,
  }
}

const LONG = 16384
const SHORT = 2048

// The frames stay, however long the message before them is.
function stackOf(stack, max) {
  const at = stack.indexOf('\\n    at ')
  return at < 0 ? text(stack, max) : text(stack.slice(0, at), max) + text(stack.slice(at), max)
}

function text(value, max = LONG) {
  let all
  try {
    all = typeof value === 'object' && value !== null ? JSON.stringify(value) ?? String(value) : String(value)
  } catch {
    all = Object.prototype.toString.call(value)
  }
  return all.length > max ? all.slice(0, max) + '…' : all
}

function record(source, error) {
  return JSON.stringify({ ...describe(error), source, id: MARK + ++records })
}

const HEAD_RECORD_LENGTH_MAX = 10_000

function tell(source, error) {
  if (typeof error === 'object' && error !== null) {
    if (told.has(error)) return
    told.add(error)
  }
  write(MARK + record(source, error))
}

// A debugger steps from here into the program.
function begin(call) {
  if (breaks) {
    breaks = false
    debugger
  }
  return call()
}

function failed(request, error) {
  if (request.headers.has('upgrade')) {
    tell('fetch', error)
    return new Response('error code: 1101', { status: 500 })
  }
  if (typeof error === 'object' && error !== null) told.add(error)
  const body = record('fetch', error)
  // Once more as a line: another worker may have asked, and keep the answer to itself.
  write(MARK + body)
  // An answer to HEAD has no content that could tell.
  const mark = request.method === 'HEAD' && body.length < HEAD_RECORD_LENGTH_MAX ? encodeURIComponent(body) : '1'
  return new Response(body, { status: 500, headers: { [FIELD]: mark, 'content-type': 'application/json' } })
}

async function answer(request, call, isCalled) {
  try {
    const response = await begin(call)
    if (!(response instanceof Response))
      throw new TypeError('The fetch handler returned ' + (response === null ? 'null' : typeof response) + ' and not a Response.')
    return response
  } catch (error) {
    if (!isCalled) return failed(request, error)
    tell('fetch, called by a binding', error)
    throw error
  }
}

// What is no promise of JavaScript's own (a stub of another worker's) goes on untouched.
function event(source, call) {
  const caught = (error) => {
    tell(source, error)
    throw error
  }
  try {
    const result = begin(call)
    return result instanceof Promise ? result.catch(caught) : result
  } catch (error) {
    return caught(error)
  }
}

const watchedContexts = new WeakSet()

// A rejection that only waitUntil() sees is heard of nowhere else.
function watchContext(ctx) {
  const kind = ctx === null || typeof ctx !== 'object' ? null : Object.getPrototypeOf(ctx)
  if (kind === null || watchedContexts.has(kind) || typeof kind.waitUntil !== 'function') return
  watchedContexts.add(kind)
  const { waitUntil } = kind
  const watched = function (promise) {
    return waitUntil.call(this, promise instanceof Promise ? event('waitUntil', () => promise) : promise)
  }
  try {
    Object.defineProperty(kind, 'waitUntil', { value: watched, writable: true, configurable: true })
  } catch {}
}

function watchSockets() {
  const { addEventListener, removeEventListener } = WebSocket.prototype
  const listeners = new WeakMap()
  const watched = (type, listener) => {
    if (typeof listener !== 'function') return listener
    if (!listeners.has(listener))
      listeners.set(listener, function (given) {
        return event('WebSocket ' + given.type, () => listener.call(this, given))
      })
    return listeners.get(listener)
  }
  const define = (name, own) => {
    const value = function (type, listener, ...rest) {
      return own.call(this, type, watched(type, listener), ...rest)
    }
    Object.defineProperty(WebSocket.prototype, name, { value, writable: true, configurable: true })
  }
  define('addEventListener', addEventListener)
  define('removeEventListener', removeEventListener)
}

function watchTimer(name) {
  const own = globalThis[name]
  const watched = (run, ...rest) =>
    own(typeof run === 'function' ? (...args) => event(name, () => run(...args)) : run, ...rest)
  globalThis[name] = Object.defineProperties(watched, Object.getOwnPropertyDescriptors(own))
}

addEventListener('unhandledrejection', ({ reason }) => tell('unhandled rejection', reason))
addEventListener('error', ({ error, message }) => tell('uncaught', error ?? message))
watchSockets()
watchTimer('setTimeout')
watchTimer('setInterval')
`
