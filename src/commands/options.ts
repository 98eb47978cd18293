import { statSync } from 'node:fs'
import { resolve } from 'node:path'

import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import { FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'

/** What every command that reads a project takes. */
export const projectArgs = {
  dir: Args.string({ ignoreStdin: true, description: 'folder of the project', default: '.' }),
}

export const projectFlags = {
  config: Flags.string({
    char: 'c',
    summary: 'Read this flexi.jsonc, or this wrangler file, instead of the one in the folder.',
    helpValue: 'FILE',
  }),
}

/** What a command takes that reads all of a project. */
export const sourceFlags = {
  ...projectFlags,
  // As `wrangler dev --env`.
  env: Flags.string({
    char: 'e',
    helpValue: 'NAME',
    summary: 'Environment of the wrangler file, where no flexi.jsonc names one. Default: $CLOUDFLARE_ENV.',
  }),
}

/** What those flags say of where a project is read from. @throws FlexiError FLEXI_NO_INPUT. */
export function sourcesOf(flags: {
  readonly config?: string | undefined
  readonly env?: string | undefined
}): {
  readonly configFile: AbsolutePath | undefined
  readonly environment: NodeJS.ProcessEnv
} {
  const { config, env } = flags
  const environment = env === undefined ? process.env : { ...process.env, CLOUDFLARE_ENV: env }
  return { configFile: optionalFile(config), environment }
}

/** Nothing of the shell reaches functions unasked, least of all what opens an account. */
export const credentialsFlag = Flags.boolean({
  summary: "Give Lambda functions this shell's AWS credentials: keys, or AWS_PROFILE.",
})

/** @throws FlexiError FLEXI_NO_INPUT when there is no such folder. */
export function projectDirectory(dir: string): AbsolutePath {
  const directory = resolve(dir)
  const found = statSync(directory, { throwIfNoEntry: false })
  if (found?.isDirectory() === true) return directory as AbsolutePath
  if (found !== undefined)
    throw new FlexiError('FLEXI_NO_INPUT', `${dir} is a file`, { hint: 'Name the folder it is in.' })
  throw new FlexiError('FLEXI_NO_INPUT', `there is no folder ${dir}`, {
    hint: 'Name a folder that exists, or make one with "flexi new".',
  })
}

/** The file of a flag. @throws FlexiError FLEXI_NO_INPUT when there is no such file. */
export function optionalFile(file: string | undefined): AbsolutePath | undefined {
  if (file === undefined) return undefined
  const path = resolve(file)
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) return path as AbsolutePath
  throw new FlexiError('FLEXI_NO_INPUT', `there is no file ${file}`)
}

/** `--set a.b=1 --set c=x` → `{ 'a.b': '1', c: 'x' }` @throws FlexiError FLEXI_USAGE without "=". */
export function assignments(flag: string, values: readonly string[]): Record<string, string> {
  const pairs = values.map((value): [string, string] => {
    const at = value.indexOf('=')
    if (at < 1)
      throw new FlexiError('FLEXI_USAGE', `--${flag} ${value} has no value`, {
        hint: `Write --${flag} NAME=VALUE.`,
      })
    return [value.slice(0, at), value.slice(at + 1)]
  })
  return Object.fromEntries(pairs)
}
