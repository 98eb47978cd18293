import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseEnv } from 'node:util'

import type { AbsolutePath } from '../../core/place.ts'

export interface VariableOptions {
  /** The wrangler file: secrets lie beside it. */
  readonly file: AbsolutePath
  readonly env?: string | undefined
  /** The shell's environment: `${NAME}` in a .env file, and wrangler's switches. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

export interface Variables {
  readonly values: Readonly<Record<string, string>>
  /** The files the values came from. */
  readonly files: readonly AbsolutePath[]
  /** Those and the ones whose coming would change the values. */
  readonly watched: readonly AbsolutePath[]
}

/**
 * The secrets and variables for local development, by wrangler's rules: `.dev.vars.<env>`, else `.dev.vars`; when there is neither,
 * `.env`, `.env.local`, `.env.<env>` and `.env.<env>.local`, later ones winning. CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV=false leaves the
 * latter out, CLOUDFLARE_INCLUDE_PROCESS_ENV=true adds the shell's environment below them.
 */
export async function readVariables(options: VariableOptions): Promise<Variables> {
  const { file, env, environment } = options
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
    if (text !== undefined) return { values: parse(text), files: [path], watched }
  }
  if (environment['CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV'] === 'false')
    return { values: {}, files: [], watched }
  const texts = await Promise.all(dotEnv.map(readIfThere))
  const read = Object.assign({}, ...texts.map((text) => parse(text ?? ''))) as Record<string, string>
  const included = environment['CLOUDFLARE_INCLUDE_PROCESS_ENV'] === 'true' ? defined(environment) : {}
  return {
    values: { ...included, ...expand(read, environment) },
    files: dotEnv.filter((_, index) => texts[index] !== undefined),
    watched,
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}

function parse(text: string): Record<string, string> {
  return defined(parseEnv(text))
}

function defined(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const list = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return Object.fromEntries(list)
}

/** References nest at most so deep; a circle ends there. */
const DEPTH_MAX = 10

/** `${NAME}`, `${NAME:-default}` and `$NAME`; the shell's value wins over the file's, `\$` is a dollar sign. */
export function expand(
  values: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const resolve = (text: string, depth: number): string =>
    text.replace(/\\\$|\$\{(\w+)(?::?-([^}]*))?\}|\$(\w+)/g, (match, braced, fallback, bare) => {
      if (match === '\\$') return '$'
      const name = String(braced ?? bare)
      const value = environment[name] ?? (depth < DEPTH_MAX ? values[name] : undefined)
      if (value === undefined || value === '') return resolve(String(fallback ?? ''), depth + 1)
      return environment[name] === undefined ? resolve(value, depth + 1) : value
    })
  return Object.fromEntries(Object.entries(values).map(([name, text]) => [name, resolve(text, 0)]))
}
