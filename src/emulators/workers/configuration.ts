import { createRequire } from 'node:module'

import type * as WorkersUtilsModule from '@cloudflare/workers-utils'
import type { Config, RawConfig } from '@cloudflare/workers-utils'

import { configError, errorMessage, FlexiError } from '../../core/errors.ts'
import { placeAt, type AbsolutePath, type Fault } from '../../core/place.ts'
import { closest } from '../../core/suggest.ts'
import { faultAt, locateDiagnostics, type ConfigText } from './config-faults.ts'

export type { Config, RawConfig } from '@cloudflare/workers-utils'

type WorkersUtils = typeof WorkersUtilsModule

/** A wrangler file as Cloudflare's own code reads it. */
export interface Configuration {
  readonly config: Config
  /** As it is written, before environments are chosen and defaults filled in. */
  readonly raw: RawConfig
  /** The file as it was read. */
  readonly origin: ConfigText
  /** What it warns about: unknown keys, deprecated ones. */
  readonly warnings: readonly Fault[]
}

/**
 * Reads and validates a wrangler file with the code wrangler itself uses.
 * @throws FlexiError FLEXI_CONFIG with every fault at its key; FLEXI_NO_INPUT when there is no such file.
 */
export async function readConfiguration(
  file: AbsolutePath,
  env?: string,
  /** The file a person wrote, where `file` is one that a build tool made of it. */
  own: AbsolutePath = file,
): Promise<Configuration> {
  const utils = await loadWorkersUtils()
  const { rawConfig, text } = await readRaw(utils, file)
  const { known, warnings } = await withoutGoneKeys(rawConfig, { file, text })
  const { config, diagnostics } = validated({ file, text, rawConfig: known }, () =>
    utils.normalizeAndValidateConfig(known, file, own, env === undefined ? {} : { env }),
  )
  const faults = (await locateDiagnostics(diagnostics, { file, text })).map((fault) =>
    withSuggestion(fault, config),
  )
  // Nobody can mend a file that a build wrote, and builds write keys that an older wrangler knew.
  const isGenerated = file !== own
  const errors = faults.filter(
    ({ severity, message }) => severity !== 'warning' && !(isGenerated && message.startsWith('Removed')),
  )
  if (errors.length > 0) throw configError(errors)
  return { config, raw: rawConfig, origin: { file, text }, warnings: [...warnings, ...faults] }
}

/**
 * `legacy_env: true` says what has become the only way, and builds of some years write it; the package refuses it. With `false` an
 * environment was a part of its worker, which differs only where it is deployed.
 */
async function withoutGoneKeys(
  raw: RawConfig,
  origin: ConfigText,
): Promise<{ known: RawConfig; warnings: readonly Fault[] }> {
  if (typeof raw !== 'object' || raw === null || !('legacy_env' in raw)) return { known: raw, warnings: [] }
  const { legacy_env: legacy, ...known } = raw as RawConfig & { legacy_env?: unknown }
  if (legacy === true) return { known, warnings: [] }
  const fault = await faultAt(origin, ['legacy_env'], {
    message: 'service environments are gone: an environment is a worker of its own, called NAME-ENVIRONMENT',
    hint: 'Take "legacy_env" out.',
  })
  return { known, warnings: [{ ...fault, severity: 'warning' }] }
}

/** `Unexpected fields found in top-level field: "mian"`: did you mean "main"? */
function withSuggestion(fault: Fault, config: Config): Fault {
  const key = /^Unexpected fields found in top-level field: "([^"]+)"$/.exec(fault.message)?.[1]
  const near = key === undefined ? undefined : closest(key, Object.keys(config))
  return near === undefined ? fault : { ...fault, hint: `Did you mean "${near}"?` }
}

/** The package trusts the outermost shape, and throws what it cannot go on from. */
function validated<T>(
  { file, text, rawConfig }: ConfigText & { readonly rawConfig: unknown },
  validate: () => T,
): T {
  const fault = (message: string, hint: string): Fault => ({ ...placeAt(file, text, 0), message, hint })
  if (typeof rawConfig !== 'object' || rawConfig === null || Array.isArray(rawConfig))
    throw configError([fault('the file holds no object', 'Write "{ … }" around its keys.')])
  try {
    return validate()
  } catch (error) {
    if (error instanceof FlexiError) throw error
    throw configError([fault(`the file cannot be used: ${errorMessage(error)}`, 'Mend what it names.')])
  }
}

async function readRaw(
  utils: WorkersUtils,
  file: AbsolutePath,
): Promise<{ rawConfig: ReturnType<WorkersUtils['experimental_readRawConfig']>['rawConfig']; text: string }> {
  const { readFile } = await import('node:fs/promises')
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new FlexiError('FLEXI_NO_INPUT', `there is no ${file}`, {
      hint: 'Create it, or mend the path in "config".',
      cause,
    })
  })
  try {
    return { rawConfig: utils.experimental_readRawConfig({ config: file }, {}).rawConfig, text }
  } catch (error) {
    const fault = syntaxFault(error, file)
    throw fault === undefined ? error : configError([fault])
  }
}

/** The package's ParseError, by its shape. */
function syntaxFault(error: unknown, file: AbsolutePath): Fault | undefined {
  if (!(error instanceof Error) || !('location' in error)) return undefined
  const location = error.location as { line?: number; column?: number; lineText?: string } | undefined
  // The package counts columns from 0.
  const place = { file, line: location?.line ?? 1, column: (location?.column ?? 0) + 1 }
  const text = location?.lineText === undefined ? {} : { text: location.lineText }
  return { place, message: readable(error.message), ...text }
}

/** `ValueExpected` → `value expected`. */
function readable(message: string): string {
  return /^[A-Z][A-Za-z]+$/.test(message)
    ? message.replace(/(?<!^)[A-Z]/g, (letter) => ` ${letter}`).toLowerCase()
    : message
}

let utils: Promise<WorkersUtils> | undefined

function loadWorkersUtils(): Promise<WorkersUtils> {
  utils ??= withRequire(() => import('@cloudflare/workers-utils'))
  return utils
}

/** The package is a bundle that looks for a CommonJS `require` while it is loaded, which an ES module has not. */
async function withRequire<T>(load: () => Promise<T>): Promise<T> {
  const scope: { require?: NodeJS.Require | undefined } = globalThis
  const before = scope.require
  scope.require = createRequire(import.meta.url)
  try {
    return await load()
  } finally {
    if (before === undefined) delete scope.require
    else scope.require = before
  }
}
