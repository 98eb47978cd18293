import { FlexiError } from '../../core/errors.ts'
import { closest } from '../../core/suggest.ts'
import type { AliasRecord, FunctionKey, FunctionRecord, VersionRecord } from '../model.ts'
import { isLabel } from '../routing/host-name.ts'
import type { Store } from '../store.ts'

/** `hello@v3` */
export function keyText({ name, version }: FunctionKey): string {
  return `${name}@${version}`
}

/** Where an alias leads. */
export function versionsOf({ version, second }: Pick<AliasRecord, 'version' | 'second'>): readonly string[] {
  return second === undefined ? [version] : [version, second.version]
}

/** The version that a reference means, by its own name or by an alias. */
export function findVersion(store: Store, reference: FunctionKey): VersionRecord | undefined {
  const own = store.versions.get(reference)
  if (own !== undefined) return own
  const alias = store.aliases.get(reference.name, reference.version)
  return alias === undefined
    ? undefined
    : store.versions.get({ name: alias.function, version: alias.version })
}

/** @throws FlexiError FLEXI_FUNCTION_UNKNOWN. */
export function versionOf(store: Store, reference: FunctionKey): VersionRecord {
  const found = findVersion(store, reference)
  if (found !== undefined) return found
  if (store.functions.get(reference.name) === undefined) throw unknownFunction(store, reference.name)
  const { name, version } = reference
  const known = [...store.versions.of(name), ...store.aliases.of(name).map((a) => ({ version: a.alias }))]
  throw unknown(
    `${name} has no version or alias ${version}`,
    version,
    known.map((row) => row.version),
  )
}

/** @throws FlexiError FLEXI_FUNCTION_UNKNOWN. */
export function functionOf(store: Store, name: string): FunctionRecord {
  const found = store.functions.get(name)
  if (found === undefined) throw unknownFunction(store, name)
  return found
}

function unknownFunction(store: Store, name: string): FlexiError {
  return unknown(
    `no function is called ${name}`,
    name,
    store.functions.all().map((row) => row.name),
  )
}

function unknown(message: string, word: string, candidates: readonly string[]): FlexiError {
  const near = closest(word, candidates)
  return new FlexiError(
    'FLEXI_FUNCTION_UNKNOWN',
    message,
    near === undefined ? {} : { hint: `Did you mean ${near}?` },
  )
}

/** Names become parts of host names. @throws FlexiError FLEXI_USAGE. */
export function checkLabel(what: string, name: string): void {
  if (isLabel(name)) return
  throw new FlexiError('FLEXI_USAGE', `${JSON.stringify(name)} cannot name ${what}`, {
    hint: 'Use lower-case letters, digits and hyphens, 63 at most, none of the hyphens at an end.',
  })
}
