import type { ResolveHook } from 'node:module'
import { delimiter, dirname, basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'

// Runs inside of the function, and in Node’s own thread for loaders.

/** The folders above the `node_modules` that NODE_PATH names: what is imported from there is looked up in them. */
const parents = (process.env['NODE_PATH'] ?? '')
  .split(delimiter)
  .filter((path) => basename(path) === 'node_modules')
  .map((path) => pathToFileURL(join(dirname(path), 'index.js')).href)

/** Lambda’s Node imports ES modules from NODE_PATH too, once they are found nowhere else; Node itself does not. */
export const resolve: ResolveHook = async (specifier, context, next) => {
  try {
    return await next(specifier, context)
  } catch (error) {
    if (!isMissingPackage(specifier, error)) throw error
    for (const parentURL of parents) {
      const found = await Promise.resolve(next(specifier, { ...context, parentURL })).catch(() => undefined)
      if (found !== undefined) return found
    }
    throw error
  }
}

function isMissingPackage(specifier: string, error: unknown): boolean {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ERR_MODULE_NOT_FOUND' && !/^(?:[./]|\w[\w+.-]*:)/.test(specifier)
}
