/** JavaScript around a program of modules: its handlers, classes and other exports, as telling.ts watches them. Needs `program`, TOKEN. */
export const WRAPPING_SOURCE = `
const worker = program.default
const BASES = [DurableObject, WorkerEntrypoint, WorkflowEntrypoint]

// Events of other workers tell what they logged, with our marks and our lines.
function tailed(item) {
  if (!Array.isArray(item?.logs)) return item
  const plain = {}
  for (const key in item) plain[key] = item[key]
  const lines = item.logs.map((log) => ({ log, ...unmarked(log.message) }))
  const told = lines.filter(({ thrown }) => thrown !== undefined)
  plain.logs = lines.filter(({ thrown, isOurs }) => thrown === undefined && !isOurs).map(({ log, message }) => ({ timestamp: log.timestamp, level: log.level, message }))
  if (told.length > 0) {
    plain.exceptions = [...item.exceptions, ...told.map(({ log, thrown }) => ({ timestamp: log.timestamp, name: thrown.name, message: thrown.message, stack: thrown.stack }))]
    if (item.outcome === 'ok') plain.outcome = 'exception'
  }
  return plain
}

const LOGGED = new RegExp('^' + TOKEN + '[.][0-9]+[.][0-9]+([:;!?])')

function unmarked(message) {
  const [first, ...rest] = Array.isArray(message) ? message : []
  const found = typeof first === 'string' ? LOGGED.exec(first) : null
  if (found === null) return { message }
  const value = first.slice(found[0].length)
  if (value.startsWith('flexi-fault-' + TOKEN)) return { thrown: JSON.parse(value.slice(value.indexOf('{'))) }
  return { message: found[1] === ':' ? [value, ...rest] : rest, isOurs: found[1] === '!' || found[1] === '?' }
}

function givenTo(name, args) {
  return (name === 'tail' || name === 'trace') && Array.isArray(args[0]) ? [args[0].map(tailed), ...args.slice(1)] : args
}

function wrapObject(worker, isCalled) {
  const handlers = {}
  for (const name of ['scheduled', 'queue', 'email', 'tail', 'tailStream', 'trace', 'test', 'connect'])
    if (typeof worker[name] === 'function')
      handlers[name] = (...rest) => {
        watchContext(rest[2])
        return event(name, () => worker[name](...givenTo(name, rest)))
      }
  if (typeof worker.fetch === 'function')
    handlers.fetch = (given, env, ctx) => {
      watchContext(ctx)
      const request = isCalled ? given : asSent(given)
      return answer(request, () => worker.fetch(request, env, ctx), isCalled)
    }
  // Who has none is told so, by whoever asks for it.
  for (const name of ['fetch', 'scheduled', 'queue', 'email'])
    handlers[name] ??= (request) => {
      const missing = () => {
        throw new TypeError('The program has no default export with a ' + name + ' handler.')
      }
      return name === 'fetch' ? answer(request, missing, isCalled) : event(name, missing)
    }
  return handlers
}

// The runtime is reached over HTTP, whatever the client spoke; flexi alone sets this field.
function asSent(request) {
  return request.headers.get('x-forwarded-proto') === 'https' && request.url.startsWith('http:')
    ? new Request('https' + request.url.slice(4), request)
    : request
}

const HANDLERS = ['fetch', 'scheduled', 'queue', 'email', 'tail', 'alarm', 'webSocketMessage', 'webSocketClose', 'webSocketError', 'run']

// The program's own object stands behind one that is called from outside: what it calls of itself is its own affair.
function wrapClass(Original, name, mode) {
  const Base = BASES.find((base) => Original.prototype instanceof base)
  const inners = new WeakMap()
  const construct = (outer, args) => {
    watchContext(args[0])
    const inner = event('new ' + name, () => new Original(...args))
    inners.set(outer, inner)
    for (const key of HANDLERS) if (Object.hasOwn(inner, key) && typeof inner[key] === 'function') outer[key] = delegate(key).bind(outer)
  }
  const delegate = (key) => function (...args) {
    const inner = inners.get(this)
    if (mode === 'front' && key === 'fetch') args[0] = asSent(args[0])
    if (mode !== undefined && key === 'fetch') return answer(args[0], () => inner.fetch(...args), mode === 'called')
    if (Base === WorkflowEntrypoint && key === 'run') args[1] = watchSteps(args[1])
    return event(name + '.' + String(key), () => inner[key](...givenTo(key, args)))
  }
  const Wrapped = Base === undefined
    ? class { constructor(...args) { construct(this, args) } }
    : class extends Base { constructor(...args) { super(...args); construct(this, args) } }
  for (let kind = Original.prototype; kind !== null && kind !== Base?.prototype && kind !== Object.prototype; kind = Object.getPrototypeOf(kind))
    for (const key of Reflect.ownKeys(kind)) {
      if (key === 'constructor' || Object.hasOwn(Wrapped.prototype, key)) continue
      const { value, get } = Object.getOwnPropertyDescriptor(kind, key)
      if (typeof value === 'function')
        Object.defineProperty(Wrapped.prototype, key, { value: delegate(key), writable: true, configurable: true })
      else if (get !== undefined)
        Object.defineProperty(Wrapped.prototype, key, { configurable: true, get() { return event(name + '.' + String(key), () => inners.get(this)[key]) } })
    }
  Object.defineProperty(Wrapped, 'name', { value: Original.name })
  return Wrapped
}

function watchSteps(step) {
  const other = (key) => (...args) => step[key](...args)
  return new Proxy({}, {
    get(_, key) {
      if (key === 'do')
        return (name, ...rest) => {
          const run = rest.pop()
          return step.do(name, ...rest, (...args) => event('step ' + name, () => run(...args)))
        }
      return ['sleep', 'sleepUntil', 'waitForEvent'].includes(key) ? other(key) : step[key]
    },
  })
}

function wrapExport(value, name) {
  const isClass = typeof value === 'function' && /^class\\b/.test(Function.prototype.toString.call(value))
  if (!isClass) return value
  const isEntrypoint = BASES.some((base) => value.prototype instanceof base) || typeof value.prototype.fetch === 'function'
  return isEntrypoint ? wrapClass(value, name) : value
}

function wrapDefault(mode) {
  if (typeof worker === 'function' && worker.prototype !== undefined) return wrapClass(worker, worker.name || 'default', mode)
  return wrapObject(typeof worker === 'object' && worker !== null ? worker : {}, mode === 'called')
}

const wrapped = wrapDefault('front')
const called = wrapDefault('called')
`
