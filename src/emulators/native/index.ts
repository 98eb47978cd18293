import type { Emulator } from '../../core/function.ts'
import { isLibraryName, parseOptions } from './options.ts'

/** Shared libraries with FlexiLib's C ABI (`include/flexi.h`), each in a process of its own. */
export const native: Emulator = {
  name: 'native',
  // No provider has a file for these: they are named by flexi.jsonc and proxy.ini.
  detect: () => Promise.resolve({ functions: [], routes: [], files: [], faults: [] }),
  recognise: (target) => Promise.resolve(isLibraryName(target) ? { library: target } : undefined),
  async open(config, scope) {
    const options = parseOptions(config, scope)
    const { NativeSource } = await import('./source.ts')
    return new NativeSource(config, scope, options)
  },
}
