import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'

import type { AbsolutePath } from '../../../core/place.ts'
import type { YamlNode } from './yaml-file.ts'

export interface Dotenv {
  readonly values: Readonly<Record<string, string>>
  readonly files: readonly AbsolutePath[]
}

/** What `${env:}` finds beside the service: `useDotenv` asks for it, and from version 4 on it is so without. The stage's own file wins. */
export async function dotenvOf(root: YamlNode, directory: string, stage: string): Promise<Dotenv> {
  const version = String(root.get('frameworkVersion')?.value ?? '')
  if (root.get('useDotenv')?.value !== true && !/^[^\d]*4/.test(version)) return { values: {}, files: [] }
  const found = await Promise.all(['.env', `.env.${stage}`].map((name) => textOf(join(directory, name))))
  const there = found.filter((one) => one !== undefined)
  return {
    values: Object.assign({}, ...there.map(({ text }) => parseEnv(text))) as Dotenv['values'],
    files: there.map(({ file }) => file),
  }
}

async function textOf(
  path: string,
): Promise<{ readonly file: AbsolutePath; readonly text: string } | undefined> {
  try {
    return { file: path as AbsolutePath, text: await readFile(path, 'utf8') }
  } catch {
    // Most services have none, or one of the two.
    return undefined
  }
}
