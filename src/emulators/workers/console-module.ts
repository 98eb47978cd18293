/** The module that a worker loads before its program. */
export const CONSOLE_NAME = 'flexi-console.mjs'

/** What the marks of one runtime's lines begin with, and which of its workers prints. */
export interface ConsoleMark {
  /** Letters and digits that no program knows. */
  readonly token: string
  readonly index: number
}

/** A line that a worker printed, without its mark. */
export interface MarkedLine {
  readonly index: number
  readonly text: string
}

/** `TOKEN.INDEX.INDENT` and what comes: `:` text, `;` a space and another value; `!` and `?` the same, for the terminal alone. */
const MARK = /^([A-Za-z0-9]+)\.(\d+)\.(\d+)([:!]|[;?] ?)/

/**
 * Takes the mark off what the runtime logged, and puts in the space of `console.group`. Undefined when it has none: a service worker's, or
 * workerd's own.
 */
export function readMark(message: string, token: string): MarkedLine | undefined {
  if (!message.startsWith(token)) return undefined
  const [mark, found, index, indent] = MARK.exec(message) ?? []
  if (mark === undefined || found !== token) return undefined
  const text = message.slice(mark.length)
  const space = ' '.repeat(Number(indent))
  return { index: Number(index), text: space === '' ? text : space + text.replaceAll('\n', `\n${space}`) }
}

/** Whether a debugger shows this line from elsewhere. */
export function isForTerminal(message: string, token: string): boolean {
  return message.startsWith(token) && /[!?]/.test(MARK.exec(message)?.[4] ?? '')
}

/**
 * workerd prints `debug`, `error`, `info`, `log` and `warn`, and does not say which worker of a process it was. This module marks each line,
 * and prints what else `console` has as Node.js does; an attached debugger still gets the calls themselves.
 */
export function consoleModule({ token, index }: ConsoleMark): string {
  return `const MARK = ${JSON.stringify(`${token}.${index}.`)}\n${CONSOLE}`
}

const CONSOLE = `
const own = { ...console }
let indent = 0
const counts = new Map()
const timers = new Map()

const marked = (args) => typeof args[0] === 'string'
  ? [MARK + indent + ':' + args[0], ...args.slice(1)]
  : [MARK + indent + ';', ...args]

for (const name of ['debug', 'error', 'info', 'log', 'warn']) {
  const write = own[name]
  console[name] = { [name]: (...args) => write(...marked(args)) }[name]
}

function show(args, write = own.log) {
  if (typeof args[0] === 'string') write(MARK + indent + '!' + args[0], ...args.slice(1))
  else write(MARK + indent + '?', ...args)
}

function stand(name, print) {
  const call = own[name]
  console[name] = { [name]: (...args) => {
    call?.apply(console, args)
    print(...args)
  } }[name]
}

function brief(value) {
  if (typeof value === 'string') return "'" + value + "'"
  if (typeof value === 'bigint') return value + 'n'
  if (typeof value === 'function') return '[Function' + (value.name ? ': ' + value.name : '') + ']'
  if (typeof value !== 'object' || value === null) return String(value)
  if (value instanceof Date) return Number.isNaN(+value) ? 'Invalid Date' : value.toISOString()
  if (value instanceof Error) return '[' + value + ']'
  return Array.isArray(value) ? '[Array]' : '[' + (value.constructor?.name ?? 'Object') + ']'
}

function rowsOf(data) {
  if (data instanceof Map) return { head: '(iteration index)', rows: [...data].map(([Key, Values], at) => [String(at), { Key, Values }]) }
  if (data instanceof Set) return { head: '(iteration index)', rows: [...data].map((value, at) => [String(at), value]) }
  return { head: '(index)', rows: Object.entries(data) }
}

const VALUES = 'Values'

function table(data, columns) {
  const { head, rows } = rowsOf(data)
  const names = new Set()
  let plain = false
  for (const [, row] of rows) {
    if (typeof row === 'object' && row !== null) for (const key of Object.keys(row)) names.add(key)
    else plain = true
  }
  const keys = columns ?? [...names]
  const cells = rows.map(([key, row]) => [
    key,
    ...keys.map((name) => typeof row === 'object' && row !== null && name in row ? brief(row[name]) : ''),
    ...(plain ? [typeof row === 'object' && row !== null ? '' : brief(row)] : []),
  ])
  return draw([[head, ...keys, ...(plain ? [VALUES] : [])], ...cells])
}

function draw(lines) {
  const widths = lines[0].map((_, at) => Math.max(...lines.map((line) => line[at].length)) + 2)
  const line = (cells) => '│' + cells.map((text, at) => (' ' + text).padEnd(widths[at])).join('│') + '│'
  const rule = (left, middle, right) => left + widths.map((width) => '─'.repeat(width)).join(middle) + right
  const [head, ...rest] = lines
  return [rule('┌', '┬', '┐'), line(head), rule('├', '┼', '┤'), ...rest.map(line), rule('└', '┴', '┘')].join('\\n')
}

const open = (...label) => {
  if (label.length > 0) show(label)
  indent += 2
}
const elapsed = (since) => {
  const ms = performance.now() - since
  return ms < 1000 ? +ms.toFixed(3) + 'ms' : +(ms / 1000).toFixed(3) + 's'
}

stand('table', (data, columns) => show([typeof data === 'object' && data !== null ? table(data, columns) : data]))
stand('group', open)
stand('groupCollapsed', open)
stand('groupEnd', () => { indent = Math.max(0, indent - 2) })
stand('dir', (value) => show([value]))
stand('dirxml', (...values) => show(values))
stand('assert', (holds, ...args) => {
  if (holds) return
  const text = args.length === 0 ? 'Assertion failed' : typeof args[0] === 'string' ? 'Assertion failed: ' + args.shift() : 'Assertion failed:'
  show([text, ...args], own.error)
})
stand('trace', (...args) => {
  const text = typeof args[0] === 'string' ? 'Trace: ' + args.shift() : args.length > 0 ? 'Trace:' : 'Trace'
  // The stack is the last value, so that a format's places take the program's own.
  show([text, ...args, '\\n' + new Error().stack.split('\\n').slice(1).join('\\n')])
})
stand('count', (label = 'default') => {
  counts.set(label, (counts.get(label) ?? 0) + 1)
  show([label + ': ' + counts.get(label)])
})
stand('countReset', (label = 'default') => { counts.delete(label) })
stand('time', (label = 'default') => { if (!timers.has(label)) timers.set(label, performance.now()) })
stand('timeLog', (label = 'default', ...data) => {
  if (timers.has(label)) show([label + ': ' + elapsed(timers.get(label)), ...data])
})
stand('timeEnd', (label = 'default') => {
  if (timers.has(label)) show([label + ': ' + elapsed(timers.get(label))])
  timers.delete(label)
})
`
