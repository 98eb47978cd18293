import type { Emulator } from '../../core/function.ts'
import { parseOptions } from './options.ts'

/** Any program that listens: it is started, asked over HTTP, and ended. */
export const process: Emulator = {
  name: 'process',
  // A program says nothing about itself: it is named by flexi.jsonc alone.
  detect: () => Promise.resolve({ functions: [], routes: [], files: [], faults: [] }),
  recognise: () => Promise.resolve(undefined),
  async open(config, scope) {
    const options = parseOptions(config, scope)
    const { ProcessSource } = await import('./source.ts')
    return new ProcessSource({ config, scope, options })
  },
}
