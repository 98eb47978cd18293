import { existsSync } from 'node:fs'
import { resolve, sep } from 'node:path'

import type { Confinement } from '../../core/confinement.ts'
import { configError } from '../../core/errors.ts'
import type { FunctionConfig } from '../../core/function.ts'
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

/** It is not compiled: it was, or it is kept apart, and compiling reads whatever file its sources name, with our rights. */
export function runsAsItIs({ options, scope }: Definition): boolean {
  return options.built === true || scope.confinement !== undefined
}

/** What would be read or compiled by us, in our place, of whatever file its options name. */
const COMPILED = ['entry', 'esbuild'] as const

/**
 * Sees to it that a function that is kept apart brings all that it needs in its own folder, ready to run: its files are opened outside of what
 * keeps it apart, with our rights.
 * @throws FlexiError FLEXI_CONFIG.
 */
export function requireOwnFiles({ name, directory, options, origin }: FunctionConfig): void {
  const { archive, layers = [] } = options
  const paths = [archive, ...(Array.isArray(layers) ? (layers as readonly unknown[]) : [])]
  const outside = paths.filter(
    (path) => typeof path === 'string' && !resolve(directory, path).startsWith(directory + sep),
  )
  const faults = [
    ...outside.map((path) => ({ message: `${name}: ${String(path)} is outside of its folder` })),
    ...COMPILED.filter((key) => options[key] !== undefined).map((key) => ({
      message: `${name}: "${key}" compiles, and a deployed function is run as it is`,
    })),
  ]
  const hint = 'Deploy it with "flexi deploy", which builds it and takes along what it needs.'
  if (faults.length > 0) throw configError(faults.map((fault) => ({ ...fault, place: origin, hint })))
}
