import { createHash } from 'node:crypto'
import { access, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { configError } from '../../core/errors.ts'
import type { FunctionConfig } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { assetsDirectory, atConfig, mapBindings, type Bindings } from './bindings.ts'
import { faultAt, type ConfigText } from './config-faults.ts'
import { readConfiguration, type Config, type Configuration } from './configuration.ts'
import type { Compatibility } from './node-compat.ts'
import { readVariables, type Variables } from './variables.ts'
import { findWorkerd } from './workerd.ts'

/** Everything about a worker but its program. */
export interface Settings {
  readonly configuration: Configuration
  readonly config: Config
  readonly bindings: Bindings
  readonly compatibility: Compatibility
  /** Sentences for the person at the terminal. */
  readonly warnings: readonly string[]
  /** Equal when nothing that was read has changed. */
  readonly fingerprint: string
}

export interface SettingsReader {
  /** @throws FlexiError FLEXI_CONFIG. */
  read(): Promise<Settings>
  watched(): readonly AbsolutePath[]
}

export interface SettingsOptions {
  readonly file: AbsolutePath
  readonly env: string | undefined
  readonly config: FunctionConfig
}

/** Reads the wrangler file and what lies beside it; reads nothing anew that has not changed. */
export function createSettingsReader(options: SettingsOptions): SettingsReader {
  const { file, env } = options
  const environment = process.env
  let last: { text: string; settings: Settings } | undefined
  let watched: readonly AbsolutePath[] = [file]
  return {
    async read() {
      const variables = await readVariables({ file, env, environment })
      watched = [file, ...variables.watched]
      const text = await readFile(file, 'utf8').catch(() => '')
      const all = JSON.stringify([text, variables.values])
      if (last?.text === all) return withAssets(last.settings)
      const configuration = await readConfiguration(file, env)
      const settings = settle(configuration, { variables, options, text: all })
      last = { text: all, settings }
      return withAssets(settings)
    },
    watched() {
      const assets = last === undefined ? undefined : assetsDirectory(last.settings.config)
      return assets === undefined ? watched : [...watched, assets as AbsolutePath]
    },
  }
}

function settle(
  configuration: Configuration,
  { variables, options, text }: { variables: Variables; options: SettingsOptions; text: string },
): Settings {
  const { config } = configuration
  const { compatibility, warnings } = compatibilityOf(config, findWorkerd().compatibilityDate)
  const bindings = mapBindings({
    config,
    variables: { ...variables.values, ...options.config.environment },
    environment: process.env,
  })
  return {
    configuration,
    config,
    bindings,
    compatibility,
    warnings: [...warnings, ...bindings.warnings, ...notEmulated(config)],
    fingerprint: hash(text, JSON.stringify(options.config.environment)),
  }
}

/** Where the program starts. @throws FlexiError FLEXI_CONFIG when the file is not there; undefined when there is no `main`. */
export async function programEntry({ config, configuration }: Settings): Promise<AbsolutePath | undefined> {
  if (config.main === undefined) return undefined
  const entry = atConfig(config, config.main) as AbsolutePath
  try {
    await access(entry)
    return entry
  } catch {
    const message = `the program ${entry} does not exist`
    throw configError([
      await faultAt(configuration.origin, ['main'], { message, hint: 'Create it, or mend the path.' }),
    ])
  }
}

/** miniflare lists the assets when it starts, so a change in their folder is a change of the worker. */
async function withAssets(settings: Settings): Promise<Settings> {
  const directory = assetsDirectory(settings.config)
  if (directory === undefined) return settings
  return {
    ...settings,
    fingerprint: hash(settings.fingerprint, await folderStamp(directory, settings.configuration.origin)),
  }
}

async function folderStamp(directory: string, origin: ConfigText): Promise<string> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => undefined)
  if (entries === undefined) {
    const message = `the assets folder ${directory} does not exist`
    throw configError([
      await faultAt(origin, ['assets', 'directory'], { message, hint: 'Create it, or mend the path.' }),
    ])
  }
  const stamps = entries
    .filter((entry) => entry.isFile())
    .map(async ({ parentPath, name }) => {
      const path = join(parentPath, name)
      const { mtimeMs, size } = await stat(path)
      return `${path} ${mtimeMs} ${size}`
    })
  return (await Promise.all(stamps)).toSorted().join('\n')
}

/** The runtime knows no behaviour newer than itself, and miniflare none newer than today. */
export function compatibilityOf(
  config: Pick<Config, 'compatibility_date' | 'compatibility_flags'>,
  newest: string,
  today = new Date().toISOString().slice(0, 10),
): { compatibility: Compatibility; warnings: readonly string[] } {
  const limit = newest < today ? newest : today
  const wanted = config.compatibility_date
  const flags = config.compatibility_flags
  if (wanted === undefined) {
    const text = `no compatibility_date is set, so the runtime's own is used: write "compatibility_date": "${limit}" to keep today's behaviour`
    return { compatibility: { date: limit, flags }, warnings: [text] }
  }
  if (wanted <= limit) return { compatibility: { date: wanted, flags }, warnings: [] }
  const text = `the runtime knows behaviour up to ${limit}, and compatibility_date asks for ${wanted}: ${limit} is used`
  return { compatibility: { date: limit, flags }, warnings: [text] }
}

/** Settings that change what a worker does and are not followed here. */
function notEmulated(config: Config): readonly string[] {
  const list: readonly (readonly [boolean, string])[] = [
    [config.no_bundle === true, 'no_bundle: the program is bundled all the same'],
    [config.find_additional_modules === true, 'find_additional_modules: only imported files are part of it'],
    [
      config.build.command !== undefined,
      'build.command is not run: run it yourself before a change is served',
    ],
    [config.site?.bucket !== undefined, 'site: Workers Sites is not served; use assets'],
    [(config.tail_consumers ?? []).length > 0, 'tail_consumers: nothing is sent to other workers'],
    [(config.containers ?? []).length > 0, 'containers are not started'],
    [(config.triggers.crons ?? []).length > 0, 'crons do not fire: ask for /cdn-cgi/handler/scheduled'],
  ]
  return list.filter(([applies]) => applies).map(([, text]) => text)
}

export function hash(...texts: readonly string[]): string {
  const digest = createHash('sha256')
  for (const text of texts) digest.update(text).update('\0')
  return digest.digest('hex').slice(0, 16)
}
