import type { Plugin } from 'esbuild'

import { nodeMode, type Compatibility } from '../node-compat.ts'

/**
 * What imports of Node.js modules mean, by the worker's date and flags. The modules that fill in what workerd lacks are loaded only for a
 * worker that asks for all of Node.
 */
export async function nodeModules(compatibility: Compatibility): Promise<Plugin> {
  const mode = nodeMode(compatibility)
  if (mode !== 'v2') return leftToRuntime(mode)
  const { filledNodeModules } = await import('./filled-node-modules.ts')
  return filledNodeModules(compatibility)
}

/** Marks a look-up of our own, so that it does not come back to us. */
const INSIDE = 'flexi-node-modules'

/** `node:…` stays an import of the program. The runtime refuses it where the flag is missing, so its author is told before. */
function leftToRuntime(mode: 'v1' | 'als' | 'none'): Plugin {
  return {
    name: 'node-modules',
    setup(build) {
      build.onResolve({ filter: /^node:/ }, async ({ path, kind, resolveDir, importer, pluginData }) => {
        if (pluginData === INSIDE) return undefined
        // A file of that name is possible, by `paths` of a tsconfig.
        const found = await build.resolve(path, { kind, resolveDir, importer, pluginData: INSIDE })
        if (found.errors.length === 0) return { path: found.path, namespace: found.namespace }
        const known = mode === 'v1' || (mode === 'als' && /^node:async_hooks(\/|$)/.test(path))
        const left = { path, external: true, sideEffects: false }
        return known ? left : { ...left, warnings: [{ text: missingFlag(path) }] }
      })
    },
  }
}

function missingFlag(path: string): string {
  return `"${path}" belongs to Node.js, and the runtime has it only with "nodejs_compat" in "compatibility_flags"`
}
