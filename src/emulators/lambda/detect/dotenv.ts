import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'

import type { AbsolutePath } from '../../../core/place.ts'
import type { YamlNode } from './yaml-file.ts'

export interface Dotenv {
  readonly values: Readonly<Record<string, string>>
  /** Those that would be read, whether they are there or not: one may be made at any time. */
  readonly files: readonly AbsolutePath[]
}

/** What `${env:}` finds beside the service: `useDotenv` asks for it, and from version 4 on it is so without. The stage's own file wins. */
export async function dotenvOf(root: YamlNode, directory: string, stage: string): Promise<Dotenv> {
  const version = String(root.get('frameworkVersion')?.value ?? '')
  if (root.get('useDotenv')?.value !== true && !/^[^\d]*4/.test(version)) return { values: {}, files: [] }
  const files = ['.env', `.env.${stage}`].map((name) => join(directory, name) as AbsolutePath)
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')))
  return { values: Object.assign({}, ...texts.map((text) => parseEnv(text))) as Dotenv['values'], files }
}
