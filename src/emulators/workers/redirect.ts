import { access, readFile } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'

import { configError } from '../../core/errors.ts'
import { placeAt, type AbsolutePath } from '../../core/place.ts'

/** Where a build tool (Vite, React Router) notes which configuration it wrote for its output. */
const NOTE = '.wrangler/deploy/config.json'

export interface RedirectedFile {
  /** The file that counts. */
  readonly file: AbsolutePath
  /** The note, there or not: with its coming another file counts. */
  readonly note: AbsolutePath
  /** A sentence where the file is not the one a person wrote. */
  readonly said: readonly string[]
}

/** A file that no build tool has put another one in place of. */
export function asItIs(file: AbsolutePath): RedirectedFile {
  return { file, note: file, said: [] }
}

/**
 * The configuration that wrangler would use in the folder of this wrangler file: the one a build tool wrote, where there is one. A file
 * with a name of its own is taken as it is.
 * @throws FlexiError FLEXI_CONFIG for a note that leads nowhere.
 */
export async function redirectedFile(file: AbsolutePath): Promise<RedirectedFile> {
  const folder = dirname(file)
  const note = join(folder, NOTE) as AbsolutePath
  const text = /^wrangler\.(?:jsonc?|toml)$/.test(basename(file))
    ? await readFile(note, 'utf8').catch(() => undefined)
    : undefined
  if (text === undefined) return { file, note, said: [] }
  const { target, auxiliary } = await readNote(note, text)
  const away = relative(folder, target)
  const others = auxiliary.map((path) => relative(folder, path)).join(', ')
  return {
    file: target,
    note,
    said: [
      `${away} is used, which a build wrote, in place of ${basename(file)}: build again after a change, or delete ${NOTE} to use your own file`,
      ...(others === ''
        ? []
        : [
            `the build has other workers that are not started by themselves: name ${others} in "functions" of flexi.jsonc`,
          ]),
    ],
  }
}

async function readNote(
  note: AbsolutePath,
  text: string,
): Promise<{ target: AbsolutePath; auxiliary: readonly string[] }> {
  const { parse } = await import('jsonc-parser')
  const value = parse(text) as { configPath?: unknown; auxiliaryWorkers?: unknown } | undefined
  const path = value?.configPath
  if (typeof path !== 'string' || path === '')
    throw noteError(note, text, 'has no "configPath", so nobody knows which configuration the build wrote')
  const target = resolve(dirname(note), path) as AbsolutePath
  await access(target).catch(() => {
    throw noteError(note, text, `leads to ${target}, which does not exist`)
  })
  const auxiliary = Array.isArray(value?.auxiliaryWorkers) ? (value.auxiliaryWorkers as unknown[]) : []
  return { target, auxiliary: auxiliary.flatMap((one) => auxiliaryPath(one, note)) }
}

function auxiliaryPath(one: unknown, note: AbsolutePath): string[] {
  const path = typeof one === 'object' && one !== null && 'configPath' in one ? one.configPath : undefined
  return typeof path === 'string' ? [resolve(dirname(note), path)] : []
}

function noteError(note: AbsolutePath, text: string, what: string): Error {
  const offset = Math.max(0, text.indexOf('"configPath"'))
  return configError([
    {
      ...placeAt(note, text, offset),
      message: `the note of a build tool ${what}`,
      hint: 'Run the build again, or delete the file to use your own configuration.',
    },
  ])
}
