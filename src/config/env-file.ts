import { basename, dirname } from 'node:path'
import { parseEnv } from 'node:util'

import { FlexiError } from '../core/errors.ts'
import type { FunctionConfig } from '../core/function.ts'
import type { AbsolutePath, Fault } from '../core/place.ts'
import { readConfigFile } from './config-file.ts'
import type { DeclaredFunction } from './flexi-json.ts'

/** Reads NAME=value lines as Node's own --env-file does: comments, quotes and multi-line values included. Never throws. */
export function parseEnvFile(text: string): Record<string, string> {
  const values: Record<string, string> = {}
  for (const [key, value] of Object.entries(parseEnv(text))) {
    // Node 20 glues a line without "=" to the name on the next one.
    const name = key.split('\n').at(-1)?.trim() ?? ''
    if (value !== undefined && /^[^\s=]+$/.test(name)) values[name] = value
  }
  return values
}

/** @throws FlexiError FLEXI_NO_INPUT when there is no such file: it was asked for by name. */
export async function readEnvFile(path: AbsolutePath): Promise<Record<string, string>> {
  const file = await readConfigFile(dirname(path) as AbsolutePath, basename(path))
  if (file === undefined) throw new FlexiError('FLEXI_NO_INPUT', `there is no file ${path}`)
  return parseEnvFile(file.text)
}

/** Reads what `env_file` names; `environment` wins over it, because it stands closer to the function. */
export async function readEnvFiles(
  declared: readonly DeclaredFunction[],
  directory: AbsolutePath,
): Promise<{
  functions: readonly FunctionConfig[]
  files: readonly AbsolutePath[]
  faults: readonly Fault[]
}> {
  const files: AbsolutePath[] = []
  const faults: Fault[] = []
  const functions = await Promise.all(
    declared.map(async ({ config, envFile }) => {
      if (envFile === undefined) return config
      const file = await readConfigFile(directory, envFile.path)
      if (file === undefined) {
        const message = `there is no file "${envFile.path}"`
        faults.push({ ...envFile.at, message, hint: 'Make it, or remove "env_file".' })
        return config
      }
      files.push(file.path)
      return { ...config, environment: { ...parseEnvFile(file.text), ...config.environment } }
    }),
  )
  return { functions, files, faults }
}

/** What `--env-file` says wins over every file, as flags do. Workers read .dev.vars and .env themselves, as in wrangler. */
export function withFlagEnvironment(
  functions: readonly FunctionConfig[],
  values: Readonly<Record<string, string>>,
): readonly FunctionConfig[] {
  if (Object.keys(values).length === 0) return functions
  return functions.map((config) =>
    config.provider === 'workers' ? config : { ...config, environment: { ...config.environment, ...values } },
  )
}
