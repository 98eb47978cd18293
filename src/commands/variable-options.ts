import { FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'
import type { DaemonClient } from '../daemon/client/client.ts'
import { warn } from './client-options.ts'

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

/** Takes away those of the names that are set, and says which are not; returns what was taken. */
export async function unsetVariables(
  client: DaemonClient,
  name: string,
  { secret, names }: { readonly secret: boolean; readonly names: readonly string[] },
): Promise<readonly string[]> {
  const known = new Set((await client.variables(name)).map((one) => one.name))
  const [there, missing] = [names.filter((one) => known.has(one)), names.filter((one) => !known.has(one))]
  if (missing.length > 0) warn(`not set: ${joined(missing)}`)
  if (there.length > 0)
    await client.setVariables(name, {
      secret,
      values: Object.fromEntries(there.map((one) => [one, null])),
    })
  return there
}

/** @throws FlexiError FLEXI_USAGE when there are none. */
export function changedNames(values: Readonly<Record<string, unknown>>, hint: string): readonly string[] {
  const names = Object.keys(values)
  if (names.length > 0) return names
  throw noVariables(hint)
}

export const noVariables = (hint: string): FlexiError =>
  new FlexiError('FLEXI_USAGE', 'there are no variables', { hint })

export const joined = (names: readonly string[]): string => names.join(', ')
