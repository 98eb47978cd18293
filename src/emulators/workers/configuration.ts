import { createRequire } from 'node:module'

import type * as WorkersUtilsModule from '@cloudflare/workers-utils'
import type { Config } from '@cloudflare/workers-utils'

import { configError, FlexiError } from '../../core/errors.ts'
import type { AbsolutePath, Fault } from '../../core/place.ts'
import { locateDiagnostics, type ConfigText } from './config-faults.ts'

export type { Config } from '@cloudflare/workers-utils'

type WorkersUtils = typeof WorkersUtilsModule

/** A wrangler file as Cloudflare's own code reads it. */
export interface Configuration {
  readonly config: Config
  /** The file as it was read. */
  readonly origin: ConfigText
  /** What it warns about: unknown keys, deprecated ones. */
  readonly warnings: readonly Fault[]
}

/**
 * Reads and validates a wrangler file with the code wrangler itself uses.
 * @throws FlexiError FLEXI_CONFIG with every fault at its key; FLEXI_NO_INPUT when there is no such file.
 */
export async function readConfiguration(file: AbsolutePath, env?: string): Promise<Configuration> {
  const utils = await loadWorkersUtils()
  const { rawConfig, text } = await readRaw(utils, file)
  const { config, diagnostics } = utils.normalizeAndValidateConfig(
    rawConfig,
    file,
    file,
    env === undefined ? {} : { env },
  )
  const faults = await locateDiagnostics(diagnostics, { file, text })
  const errors = faults.filter(({ severity }) => severity !== 'warning')
  if (errors.length > 0) throw configError(errors)
  return { config, origin: { file, text }, warnings: faults }
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
  const place = { file, line: location?.line ?? 1, column: location?.column ?? 1 }
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
