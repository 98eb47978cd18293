import { accessSync, constants, realpathSync } from 'node:fs'
import { delimiter, join, resolve, sep } from 'node:path'

import { FlexiError } from '../../core/errors.ts'
import type { FunctionConfig } from '../../core/function.ts'
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
): Program {
  if (command.includes(sep)) return ownProgram(name, resolve(directory, command))
  const found =
    (process.env['PATH'] ?? '')
      .split(delimiter)
      .filter((folder) => folder !== '')
      .map((folder) => join(folder, command))
      .find(isExecutable) ?? (command === 'node' ? process.execPath : undefined)
  if (found !== undefined) return { command: found, readable: [found, realpathSync(found)] }
  const own = isExecutable(join(directory, command))
  throw new FlexiError('FLEXI_TOOL_MISSING', `${name} needs ${command}, which is not in PATH`, {
    hint: own
      ? `Write "./${command}" for the one in its folder.`
      : `Install ${command}, or correct "command".`,
  })
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
