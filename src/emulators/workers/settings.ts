import { createHash } from 'node:crypto'
import { access, readFile, stat } from 'node:fs/promises'
import { extname } from 'node:path'

import { configError } from '../../core/errors.ts'
import type { FunctionConfig } from '../../core/function.ts'
import type { AbsolutePath, Fault } from '../../core/place.ts'
import { folderStamp } from './asset-folder.ts'
import { refreshAssets } from './bindings/live-assets.ts'
import { assetsDirectory, atConfig, mapBindings, type BindingInputs, type Bindings } from './bindings.ts'
import type { CustomBuild } from './build/custom-build.ts'
import { compatibilityOf, compatibilityFaults } from './compatibility.ts'
import { faultAt } from './config-faults.ts'
import { readConfiguration, type Config, type Configuration } from './configuration.ts'
import { localMeaning } from './local-meaning.ts'
import type { Compatibility } from './node-compat.ts'
import { asItIs, redirectedFile, type RedirectedFile } from './redirect.ts'
import { checkShipped, shippedEnvironment } from './shipped/shipped-rules.ts'
import { NO_VARIABLES, readVariables, type Variables } from './variables.ts'
import { findWorkerd } from './workerd.ts'

/** Everything about a worker but its program. */
export interface Settings {
  readonly configuration: Configuration
  readonly config: Config
  readonly bindings: Bindings
  /** What the bindings came from: other workers that they lead to are known later. */
  readonly inputs: BindingInputs
  readonly compatibility: Compatibility
  /** Sentences for the person at the terminal. */
  readonly warnings: readonly string[]
  /** Equal when nothing that was read has changed. */
  readonly fingerprint: string
}

export interface SettingsReader extends AsyncDisposable {
  /** @throws FlexiError FLEXI_CONFIG. */
  read(): Promise<Settings>
  /** Reads, and runs the wrangler file's build command where that is due. @throws FlexiError FLEXI_CONFIG, FLEXI_BUILD. */
  prepare(purpose: 'dev' | 'deploy'): Promise<Settings>
  watched(): readonly AbsolutePath[]
}

export interface SettingsOptions {
  /** The wrangler file a person wrote; a build tool may have put another one in its place. */
  readonly file: AbsolutePath
  readonly env: string | undefined
  readonly config: FunctionConfig
  /** The folder is one that `shipWorker` wrote. */
  readonly isShipped?: boolean | undefined
  /** What a build command says. */
  readonly print?: ((stream: 'stdout' | 'stderr', line: string) => void) | undefined
}

/** Reads the wrangler file and what lies beside it; reads nothing anew that has not changed. */
export function createSettingsReader(options: SettingsOptions): SettingsReader {
  return new Reader(options)
}

interface ReadFile extends RedirectedFile {
  readonly text: string
  readonly configuration: Configuration
}

class Reader implements SettingsReader {
  readonly #options: SettingsOptions
  #file: ReadFile | undefined
  #last: { readonly text: string; readonly settings: Settings } | undefined
  #watched: readonly AbsolutePath[]
  #build: { readonly key: string; readonly build: CustomBuild } | undefined

  constructor(options: SettingsOptions) {
    this.#options = options
    this.#watched = [options.file]
  }

  async read(): Promise<Settings> {
    const settings = await this.#readAll()
    // A build command may be what makes the assets.
    return settings.config.build.command === undefined ? withAssets(settings) : settings
  }

  async prepare(purpose: 'dev' | 'deploy'): Promise<Settings> {
    const settings = await this.#readAll()
    await this.#runBuild(settings, purpose)
    return withAssets(settings)
  }

  watched(): readonly AbsolutePath[] {
    const settings = this.#last?.settings
    if (settings === undefined) return this.#watched
    const assets = assetsDirectory(settings.config)
    return [
      ...this.#watched,
      ...(assets === undefined ? [] : [assets as AbsolutePath]),
      // A program that is not there yet.
      ...(settings.config.main === undefined ? [] : [settings.config.main as AbsolutePath]),
    ]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#build?.build[Symbol.asyncDispose]()
  }

  async #readAll(): Promise<Settings> {
    const { file, env, isShipped } = this.#options
    const read = await this.#readFile()
    const { config } = read.configuration
    const required = config.secrets === undefined ? undefined : (config.secrets.required ?? [])
    const variables =
      isShipped === true
        ? NO_VARIABLES
        : await readVariables({ file, env, environment: process.env, required })
    this.#watched = [file, read.file, read.note, ...variables.watched]
    const text = JSON.stringify([read.file, read.text, variables.values])
    if (this.#last?.text === text) return this.#last.settings
    const settings = await settle(read, { variables, options: this.#options, text })
    this.#last = { text, settings }
    return settings
  }

  async #readFile(): Promise<ReadFile> {
    const { file: own, env, isShipped } = this.#options
    const redirected = isShipped === true ? asItIs(own) : await redirectedFile(own)
    this.#watched = [...new Set([own, redirected.file, redirected.note, ...this.#watched])]
    const text = await readFile(redirected.file, 'utf8').catch(() => '')
    if (this.#file?.text === text && this.#file.file === redirected.file) return this.#file
    const configuration = await readConfiguration(redirected.file, env, own)
    this.#file = { ...redirected, text, configuration }
    return this.#file
  }

  async #runBuild({ config, configuration }: Settings, purpose: 'dev' | 'deploy'): Promise<void> {
    if (config.build.command === undefined) return
    const { createCustomBuild, customBuildOptions } = await import('./build/custom-build.ts')
    const print = this.#options.print ?? (() => undefined)
    const options = customBuildOptions(config, { origin: configuration.origin, purpose, print })
    if (options === undefined) return
    const key = JSON.stringify([config.build, purpose])
    if (this.#build?.key !== key) {
      await this.#build?.build[Symbol.asyncDispose]()
      this.#build = { key, build: createCustomBuild(options) }
    }
    const { build } = this.#build
    this.#watched = [...this.#watched, ...options.folders]
    await build.run()
  }
}

async function settle(
  { configuration, said }: ReadFile,
  { variables, options, text }: { variables: Variables; options: SettingsOptions; text: string },
): Promise<Settings> {
  const { config } = configuration
  const { config: own, isShipped = false } = options
  if (isShipped) await checkShipped(config, own.directory)
  const faults = [
    ...(await compatibilityFaults(config, configuration.origin)),
    ...(await scheduleFaults(configuration)),
  ]
  if (faults.length > 0) throw configError(faults)
  const { compatibility, warnings } = compatibilityOf(config, findWorkerd().compatibilityDate)
  const inputs: BindingInputs = {
    config,
    variables: { ...variables.values, ...own.environment },
    environment: isShipped ? shippedEnvironment(own) : process.env,
    isShipped,
  }
  const bindings = mapBindings(inputs)
  return {
    configuration,
    config,
    bindings,
    inputs,
    compatibility,
    warnings: [...said, ...warnings, ...bindings.warnings, ...localMeaning(config)],
    fingerprint: hash(text, JSON.stringify(own.environment)),
  }
}

/** The reader of schedules is loaded only where there is one. */
async function scheduleFaults(configuration: Configuration): Promise<readonly Fault[]> {
  if ((configuration.config.triggers.crons ?? []).length === 0) return []
  const { cronFaults } = await import('./events/cron-faults.ts')
  return await cronFaults(configuration)
}

/** Where the program starts. @throws FlexiError FLEXI_CONFIG when the file is not there; undefined when there is no `main`. */
export async function programEntry({
  config,
  configuration,
}: Pick<Settings, 'config' | 'configuration'>): Promise<AbsolutePath | undefined> {
  const main = config.main ?? legacyEntry(config)
  const fault = (path: readonly string[], message: string, hint: string) =>
    faultAt(configuration.origin, path, { message, hint }).then((one) => configError([one]))
  if (main === undefined) {
    if (assetsDirectory(config) !== undefined) return undefined
    const what = config.pages_build_output_dir === undefined ? '' : ': it configures a Pages project'
    const { faults } = await fault(
      ['pages_build_output_dir'],
      `the file names neither a program nor assets${what}`,
      'Write "main": "src/index.ts", or "assets": { "directory": "public" }.',
    )
    // One of the keys that are not known may be a slip of the pen for "main".
    throw configError([...faults, ...configuration.warnings])
  }
  const entry = await existing(atConfig(config, main))
  if (entry !== undefined && extname(entry) !== '.py') return entry
  if (entry !== undefined)
    throw await fault(['main'], 'a Python Worker is not run here', 'Run it with wrangler.')
  if (await isFolder(atConfig(config, main)))
    throw await fault(
      ['main'],
      `${atConfig(config, main)} is a folder`,
      'Name the file in it: "src/index.ts".',
    )
  const { command } = config.build
  const after = command === undefined ? '' : `, and the build command "${command}" did not make it`
  throw await fault(
    ['main'],
    `the program ${atConfig(config, main)} does not exist${after}`,
    'Create it, or mend the path.',
  )
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true
}

/** What wrangler 1 had in place of `main`. */
function legacyEntry(config: Config): string | undefined {
  const entry = config.site?.['entry-point']
  if (entry === undefined) return undefined
  return extname(entry) === '' ? `${entry}/index.js` : entry
}

/** A name without an extension stands for a source file too. */
async function existing(path: string): Promise<AbsolutePath | undefined> {
  const candidates = extname(path) === '' ? ['.ts', '.tsx', '.js', '.jsx'].map((end) => path + end) : [path]
  for (const candidate of candidates) {
    const there = await access(candidate).then(
      () => true,
      () => false,
    )
    if (there) return candidate as AbsolutePath
  }
  return undefined
}

async function withAssets(settings: Settings): Promise<Settings> {
  const directory = assetsDirectory(settings.config)
  if (directory === undefined) return settings
  const stamp = await folderStamp(directory, settings.configuration.origin)
  if (settings.config.assets?.directory === undefined)
    return { ...settings, fingerprint: hash(settings.fingerprint, stamp) }
  // Runtimes that serve them are told, and go on as they are.
  await refreshAssets(directory, stamp)
  return settings
}

export function hash(...texts: readonly string[]): string {
  const digest = createHash('sha256')
  for (const text of texts) digest.update(text).update('\0')
  return digest.digest('hex').slice(0, 16)
}
