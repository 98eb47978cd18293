import Module, { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'

import { moduleFormat } from '../module-format.ts'
import type { HandlerCode, HostInit } from '../protocol.ts'
import { runtimeError } from './errors.ts'
import { streamingOf } from './stream.ts'

export type Handler = (event: unknown, context: unknown, callback: unknown) => unknown

/**
 * Loads the module and takes the handler out of it.
 * @throws Error named Runtime.UserCodeSyntaxError, Runtime.ImportModuleError or Runtime.HandlerNotFound; or what the module throws.
 */
export async function loadHandler(init: HostInit): Promise<Handler> {
  const module = await loadModule(
    init.breakAt === undefined ? init.code : await atDebugger(init.code, init.breakAt),
  )
  const found = lookUp(module, init.exportPath) ?? lookUp(property(module, 'default'), init.exportPath)
  if (typeof found === 'function') return usable(found as Handler, init)
  if (found !== undefined) {
    throw runtimeError('Runtime.HandlerNotFound', `${init.handler} is not a function but ${describe(found)}`)
  }
  const names = exportedFunctions(module)
  const there =
    names.length === 0 ? 'The module exports no function.' : `The module exports: ${names.join(', ')}.`
  throw runtimeError('Runtime.HandlerNotFound', `${init.handler} is undefined or not exported. ${there}`)
}

function usable(handler: Handler, { context, handler: name }: HostInit): Handler {
  if (context.callbacks || handler.length < 3 || streamingOf(handler) !== undefined) return handler
  const message = `${name} takes a callback, which handlers have not from nodejs24.x on: make it an async function.`
  throw runtimeError('Runtime.CallbackHandlerDeprecated', message)
}

/** Waits for a debugger, and has it stop before the first statement of the code. */
async function atDebugger(code: HandlerCode, port: number): Promise<HandlerCode> {
  const inspector = await import('node:inspector')
  // Opened now and not with the process: whoever attaches earlier would have told it to go on before it waits.
  inspector.open(port, '127.0.0.1', true)
  // A directive counts only where nothing is before it.
  if (code.kind === 'text') return { ...code, text: code.text.replace(/^("use strict";)?/, '$1debugger;') }
  const session = new inspector.Session()
  session.connect()
  session.post('Debugger.enable')
  session.post('Debugger.setBreakpointByUrl', { lineNumber: 0, url: pathToFileURL(code.path).href })
  session.post('Debugger.setBreakpointByUrl', { lineNumber: 0, url: code.path })
  return code
}

async function loadModule(code: HandlerCode): Promise<unknown> {
  try {
    if (code.kind === 'text') return compile(code.path, code.text)
    if (moduleFormat(code.path) === 'esm') return await import(pathToFileURL(code.path).href)
    return createRequire(code.path)(code.path)
  } catch (error) {
    if (error instanceof SyntaxError) throw runtimeError('Runtime.UserCodeSyntaxError', String(error), error)
    if (isModuleNotFound(error)) throw runtimeError('Runtime.ImportModuleError', String(error), error)
    throw error
  }
}

/**
 * Runs a bundle as the file it would have been: requires, `__dirname` and source maps work as from there.
 * Like every module it stays in the cache: Node forgets the source map of one that nobody holds.
 */
function compile(path: string, text: string): unknown {
  const module = new Module(path) as Module & { _compile(text: string, path: string): void }
  module.filename = path
  module.paths = (Module as unknown as { _nodeModulePaths(from: string): string[] })._nodeModulePaths(
    dirname(path),
  )
  createRequire(path).cache[path] = module
  module._compile(text, path)
  module.loaded = true
  return module.exports
}

function isModuleNotFound(error: unknown): boolean {
  return property(error, 'code') === 'MODULE_NOT_FOUND'
}

function lookUp(value: unknown, path: string): unknown {
  return path.split('.').reduce((found, name) => property(found, name), value)
}

function property(value: unknown, name: string): unknown {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function') return undefined
  return (value as Record<string, unknown>)[name]
}

function describe(value: unknown): string {
  return value === null
    ? 'null'
    : Array.isArray(value)
      ? 'an array'
      : `${/^[aeiou]/.test(typeof value) ? 'an' : 'a'} ${typeof value}`
}

function exportedFunctions(module: unknown): string[] {
  if (typeof module !== 'object' || module === null) return []
  return Object.keys(module).filter((name) => typeof property(module, name) === 'function')
}
