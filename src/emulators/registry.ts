import type { Emulator } from '../core/function.ts'
import { lambda } from './lambda/index.ts'
import { native } from './native/index.ts'
import { process } from './process/index.ts'
import { workers } from './workers/index.ts'

/** Every provider, in the order in which a target is offered to them. Adding one is a folder beside this file and a line here. */
export const emulators = { lambda, workers, native, process } as const satisfies Record<string, Emulator>

/** @throws Error for a name that is not in the table: configuration is checked before anyone asks. */
export function emulatorOf(provider: string): Emulator {
  const emulator = (emulators as Readonly<Record<string, Emulator>>)[provider]
  if (emulator === undefined) throw new Error(`provider ${provider} is not in the registry`)
  return emulator
}
