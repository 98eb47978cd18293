import type { Emulator } from '../../core/function.ts'
import type { Isolation, IsolationOptions } from './isolation.ts'
import { isLibraryName, parseOptions, type NativeOptions } from './options.ts'

/** Shared libraries with FlexiLib's C ABI (`include/flexi.h`), each in a process of its own unless it is trusted. */
export const native: Emulator = {
  name: 'native',
  // No provider has a file for these: they are named by flexi.jsonc and proxy.ini.
  detect: () => Promise.resolve({ functions: [], routes: [], files: [], faults: [] }),
  recognise: (target) => Promise.resolve(isLibraryName(target) ? { library: target } : undefined),
  async open(config, scope) {
    const options = parseOptions(config, scope)
    const { NativeSource } = await import('./source.ts')
    return new NativeSource({ config, scope, options, isolate: await isolationOf(options) })
  },
}

/** Only what runs in the server loads koffi into it. */
async function isolationOf({ isolation }: NativeOptions): Promise<(options: IsolationOptions) => Isolation> {
  return isolation === 'none'
    ? (await import('./inline.ts')).runInline
    : (await import('./processes.ts')).isolateInProcesses
}
