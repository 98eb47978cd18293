import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import type { Definition } from '../definition.ts'

const run = promisify(execFile)
const known = new Map<string, Promise<string>>()
const VERSION_MS = 10_000

/** What `PROGRAM -version` says, found by `pattern`; `unknown` when it says nothing of the kind. Asked once. */
export function versionOf(program: string, args: readonly string[], pattern: RegExp): Promise<string> {
  const asked = known.get(program) ?? ask(program, args, pattern)
  known.set(program, asked)
  return asked
}

async function ask(program: string, args: readonly string[], pattern: RegExp): Promise<string> {
  try {
    const { stdout, stderr } = await run(program, [...args], { timeout: VERSION_MS })
    return pattern.exec(`${stdout}\n${stderr}`)?.[1] ?? 'unknown'
  } catch {
    return 'unknown'
  }
}

const told = new Set<string>()

/** Says once that another version runs than the one that is asked for: `python3.12` and `python 3.11.7`. */
export function warnOfVersion(
  { name, scope }: Pick<Definition, 'name' | 'scope'>,
  wanted: string,
  runs: string,
): void {
  const message = `${wanted} is not here, ${runs} runs it`
  const key = `${name} ${message}`
  if (told.has(key)) return
  told.add(key)
  scope.log.warn('function.runtime', { message })
}
