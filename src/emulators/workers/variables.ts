import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import type { AbsolutePath } from '../../core/place.ts'
import { expand, parseEnvText } from './env-text.ts'

export interface VariableOptions {
  /** The wrangler file a person wrote: secrets lie beside it. */
  readonly file: AbsolutePath
  readonly env?: string | undefined
  /** The shell's environment: values for `${NAME}`, and wrangler's switches. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** `secrets.required` of the wrangler file: the only names that are taken, from the shell as well. */
  readonly required?: readonly string[] | undefined
}

export interface Variables {
  readonly values: Readonly<Record<string, string>>
  /** The files the values came from. */
  readonly files: readonly AbsolutePath[]
  /** Those and the ones whose coming would change the values. */
  readonly watched: readonly AbsolutePath[]
}

export const NO_VARIABLES: Variables = { values: {}, files: [], watched: [] }

/**
 * The secrets and variables for local development, by wrangler's rules: `.dev.vars.<env>`, else `.dev.vars`; when there is neither,
 * `.env`, `.env.local`, `.env.<env>` and `.env.<env>.local`, later ones winning. CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV=false leaves the
 * latter out. CLOUDFLARE_INCLUDE_PROCESS_ENV=true takes the shell's environment too, which wins over them, and so does a list of
 * required secrets.
 */
export async function readVariables(options: VariableOptions): Promise<Variables> {
  const { required } = options
  const all = await readAll(options)
  if (required === undefined) return all
  const named = Object.entries(all.values).filter(([name]) => required.includes(name))
  return { ...all, values: Object.fromEntries(named) }
}

async function readAll({ file, env, environment, required }: VariableOptions): Promise<Variables> {
  const at = (name: string): AbsolutePath => join(dirname(file), name) as AbsolutePath
  const devVars = [...(env === undefined ? [] : [`.dev.vars.${env}`]), '.dev.vars'].map(at)
  const dotEnv = [
    '.env',
    '.env.local',
    ...(env === undefined ? [] : [`.env.${env}`, `.env.${env}.local`]),
  ].map(at)
  const watched = [...devVars, ...dotEnv]
  for (const path of devVars) {
    const text = await readIfThere(path)
    if (text !== undefined) return { values: parseEnvText(text), files: [path], watched }
  }
  if (isSwitch(environment['CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV'], 'false'))
    return { values: {}, files: [], watched }
  const texts = await Promise.all(dotEnv.map(readIfThere))
  const read = Object.assign({}, ...texts.map((text) => parseEnvText(text ?? ''))) as Record<string, string>
  const withShell = required !== undefined || isSwitch(environment['CLOUDFLARE_INCLUDE_PROCESS_ENV'], 'true')
  const shell = withShell ? defined(environment) : {}
  return {
    values: { ...shell, ...expand(read, shell) },
    files: dotEnv.filter((_, index) => texts[index] !== undefined),
    watched,
  }
}

function isSwitch(value: string | undefined, wanted: 'true' | 'false'): boolean {
  return value?.toLowerCase() === wanted
}

async function readIfThere(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}

function defined(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const list = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return Object.fromEntries(list)
}
