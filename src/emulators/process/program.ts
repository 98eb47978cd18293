import { accessSync, constants, realpathSync } from 'node:fs'
import { delimiter, join, resolve, sep } from 'node:path'

import { PATH_INSIDE } from '../../core/confinement.ts'
import { FlexiError } from '../../core/errors.ts'
import type { FunctionConfig, FunctionScope } from '../../core/function.ts'
import type { ProcessOptions } from './options.ts'

/** The program of a command, found. */
export interface Program {
  readonly command: string
  /** Where it really is, besides the function's folder. */
  readonly readable: readonly string[]
}

/**
 * `./server` is looked for in the function's folder, `node` in PATH; Node is always there, because we run on it.
 * @throws FlexiError FLEXI_TOOL_MISSING when there is none; FLEXI_BUILD when it is in the folder and cannot be run.
 */
export function findProgram(
  { name, directory }: Pick<FunctionConfig, 'name' | 'directory'>,
  { command }: Pick<ProcessOptions, 'command'>,
  { confinement }: Pick<FunctionScope, 'confinement'>,
): Program {
  if (command.includes(sep)) return ownProgram(name, resolve(directory, command))
  const found = inPath(command, confinement !== undefined)
  if (found !== undefined) return { command: found, readable: [found, realpathSync(found)] }
  const own = isExecutable(join(directory, command))
  throw new FlexiError('FLEXI_TOOL_MISSING', `${name} needs ${command}, which is not in PATH`, {
    hint: own
      ? `Write "./${command}" for the one in its folder.`
      : `Install ${command}, or correct "command".`,
  })
}

/**
 * What is kept apart sees programs of the system whole, and of any other one its file alone: the `python3` or `node` that a version manager
 * puts first is a script which would not run there. The Node that runs us is one file.
 */
function inPath(command: string, isApart: boolean): string | undefined {
  if (isApart && command === 'node') return process.execPath
  const own = process.env['PATH'] ?? ''
  const found = (isApart ? [PATH_INSIDE, own].join(delimiter) : own)
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, command))
    .find(isExecutable)
  return found ?? (command === 'node' ? process.execPath : undefined)
}

function ownProgram(name: string, path: string): Program {
  // Of the function itself, or of the system: what else there is on the machine is not for functions to see.
  if (isExecutable(path)) return { command: path, readable: [] }
  const isThere = canAccess(path, constants.F_OK)
  throw new FlexiError('FLEXI_BUILD', `${name}: ${path} ${isThere ? 'is not executable' : 'is not there'}`, {
    hint: isThere ? `Run: chmod +x ${path}` : 'Build it there, or correct "command".',
  })
}

function isExecutable(path: string): boolean {
  return canAccess(path, constants.X_OK)
}

function canAccess(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}
