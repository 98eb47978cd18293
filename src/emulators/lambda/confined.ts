import { existsSync } from 'node:fs'

import type { Confinement } from '../../core/confinement.ts'
import type { Definition } from './definition.ts'

export interface Confined {
  readonly confinement: Confinement | undefined
  /** Folders and files that are seen under the same path. */
  readonly readable: readonly string[]
}

/** How processes of a function are started: what every one of them sees is its code and its layers. */
export function confined(definition: Definition, more: readonly string[] = []): Confined {
  const { scope, taskRoot, opt } = definition
  const { confinement } = scope
  if (confinement === undefined) return { confinement, readable: [] }
  const own = opt === undefined ? [taskRoot] : [taskRoot, opt.directory]
  // What is not there cannot be shown, and would be no loss.
  return { confinement, readable: [...own, ...more].filter((path) => existsSync(path)) }
}
