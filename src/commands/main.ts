import { readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'

import { flush } from '@oclif/core/flush'
import type * as Interfaces from '@oclif/core/interfaces'
import { run } from '@oclif/core/run'
import { settings } from '@oclif/core/settings'

import { FlexiError } from '../core/errors.ts'
import { closest } from '../core/suggest.ts'
import { failureOf, printFailure } from './failure.ts'
import { COMMANDS } from './index.ts'

interface PackageJson extends Interfaces.PJSON {
  readonly version: string
  readonly bugs?: { readonly url?: string }
}

/**
 * The command line: parses, runs, prints, and ends the process with an exit code of core's table.
 * `root` is the folder of flexi's package.json.
 */
export async function main(argv: readonly string[], root: string): Promise<never> {
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as PackageJson
  const about = { version: pjson.version, reportTo: pjson.bugs?.url, json: wantsJson(argv), root }
  const fail = (error: unknown): never => process.exit(printFailure(failureOf(error), about))
  process.on('uncaughtException', fail)
  // A NODE_ENV of "test" or "development" would make oclif look for TypeScript sources of ours.
  settings.enableAutoTranspile = false
  nameShell()
  try {
    const words = helpAsFlag(argv)
    refuseUnknownCommand(words)
    await run(words, { root, pjson, userPlugins: false, devPlugins: false })
    await flush()
  } catch (error) {
    return fail(error)
  }
  // Explicit, so that a handle somebody forgot can't keep a finished command alive.
  process.exit()
}

/** oclif looks up the user's shell where SHELL does not name it, and a container's user id may have no entry in /etc/passwd. */
function nameShell(): void {
  if (process.env['SHELL'] !== undefined || process.platform === 'win32') return
  try {
    userInfo()
  } catch {
    process.env['SHELL'] = '/bin/sh'
  }
}

/** Known before anything is parsed, since parsing may be what fails. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end === -1 ? undefined : end).includes('--json')
}

/** `flexi help dev` → `flexi dev --help`. */
function helpAsFlag(argv: readonly string[]): string[] {
  return argv[0] === 'help' ? [...argv.slice(1), '--help'] : [...argv]
}

function refuseUnknownCommand(words: readonly string[]): void {
  const flags = words.findIndex((word) => word.startsWith('-'))
  const asked = words.slice(0, flags === -1 ? undefined : flags)
  const ids = Object.entries(COMMANDS).flatMap(([id, command]) => [id, ...command.hiddenAliases])
  const starts = asked.map((_, index) => asked.slice(0, index + 1).join(':'))
  // A topic alone (`flexi kv`) prints its commands.
  const isTopic = ids.some((id) => id.startsWith(`${asked.join(':')}:`))
  if (asked.length === 0 || isTopic || starts.some((start) => ids.includes(start))) return
  // What is wrong is the first word that no command goes on with.
  const wrong = starts.find((start) => !ids.some((id) => id.startsWith(`${start}:`))) ?? asked.join(':')
  const near = closest(wrong, namesLike(wrong, Object.keys(COMMANDS)))
  throw new FlexiError('FLEXI_USAGE', `there is no command "${spaced(wrong)}"`, {
    hint:
      near === undefined ? `Run "${listOf(wrong)}" for the list.` : `Did you mean "flexi ${spaced(near)}"?`,
  })
}

const spaced = (id: string): string => id.replaceAll(':', ' ')

/** Commands and topics of as many words. */
function namesLike(wrong: string, ids: readonly string[]): readonly string[] {
  const count = wrong.split(':').length
  return [...new Set(ids.map((id) => id.split(':').slice(0, count).join(':')))]
}

/** `kv:gte` → `flexi kv --help` */
function listOf(wrong: string): string {
  return ['flexi', ...wrong.split(':').slice(0, -1), '--help'].join(' ')
}
