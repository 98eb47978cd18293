import { FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'

/** Names of variables as they were written. @throws FlexiError FLEXI_USAGE for what cannot be one, without showing what may be a value. */
export function namesOf(words: readonly string[]): readonly string[] {
  const wrong = words.find((word) => !/^[A-Za-z_][A-Za-z0-9_]{0,254}$/.test(word))
  if (wrong === undefined) return words
  const shown = wrong.replace(/=[^]*/, '=…')
  throw new FlexiError('FLEXI_USAGE', `${JSON.stringify(shown)} is no name of a variable`, {
    hint: 'Write letters, digits and "_"; flags stand before.',
  })
}

/** What a file of NAME=VALUE lines holds; nothing without a file. */
export async function fileValues(file: AbsolutePath | undefined): Promise<Record<string, string>> {
  if (file === undefined) return {}
  const { readEnvFile } = await import('../config/env-file.ts')
  const values = await readEnvFile(file)
  namesOf(Object.keys(values))
  return values
}

/** @throws FlexiError FLEXI_USAGE when there are none. */
export function changedNames(values: Readonly<Record<string, unknown>>, hint: string): readonly string[] {
  const names = Object.keys(values)
  if (names.length > 0) return names
  throw new FlexiError('FLEXI_USAGE', 'there are no variables', { hint })
}

export const joined = (names: readonly string[]): string => names.join(', ')
