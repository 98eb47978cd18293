import { configError } from '../../core/errors.ts'
import type { FunctionConfig } from '../../core/function.ts'
import type { Fault } from '../../core/place.ts'
import { DEFAULT_MEMORY_MB, DEFAULT_TIMEOUT_MS, MEMORY_MB_MAX, TIMEOUT_MS_MAX } from './limits.ts'
import { RUNTIME_RUNS, RUNTIMES_IN_WORDS } from './runtime-names.ts'
import type { BuildSettings } from './service/build-settings.ts'

/** What a Lambda function needs beyond what every function has. */
export interface LambdaOptions {
  /** `src/hello.handler`, `src/hello.ts` (then the export is called handler). Unused where the code folder holds a `bootstrap`. */
  readonly handler: string
  /** `nodejs20.x`, `python3.12`, `provided.al2023`; undefined is what the file's extension says. */
  readonly runtime: string | undefined
  /** The source the handler's module is compiled from, where a template names it. */
  readonly entry: string | undefined
  /** Where its file deploys it to; undefined is where the server says. */
  readonly region?: string | undefined
  /** The code itself, where a template holds it; it is in a file called `index`. */
  readonly inlineCode: string | undefined
  /** A zip file that holds the code, relative to the function's folder. */
  readonly archive: string | undefined
  /** How the source is compiled, where a template says. */
  readonly esbuild: BuildSettings | undefined
  /** The folder is what a deployment has shipped: it is run as it is. */
  readonly built?: boolean | undefined
}

const TEXTS = ['handler', 'runtime', 'entry', 'inlineCode', 'archive', 'archiveStamp', 'region'] as const
/** Checked by parts that are loaded where somebody uses them. */
const SETTINGS = [
  'functionName', 'version', 'alias', 'reservedConcurrency', 'provisionedConcurrency', 'deadLetter', 'onSuccess', 'onFailure',
  'maximumRetryAttempts', 'maximumEventAge', 'layers', 'sources', 'url',
] as const // prettier-ignore
const KNOWN = [...TEXTS, 'esbuild', 'built', ...SETTINGS] as const
/** Written by readers of templates and by the API, not by people. */
const UNTOLD: ReadonlySet<string> = new Set(['inlineCode', 'archiveStamp', 'version', 'region', 'built'])

/** @throws FlexiError FLEXI_CONFIG with a fault for each option that cannot be. */
export async function parseOptions(config: FunctionConfig): Promise<LambdaOptions> {
  const faults: Fault[] = []
  const fault: Report = (message, hint, option = '') => {
    const at = (option === '' ? undefined : config.placeOf?.(pathOf(option))) ?? { place: config.origin }
    faults.push({ ...at, message: `${config.name}: ${message}`, hint })
  }
  checkNames(config, fault)
  const text = (key: (typeof TEXTS)[number]): string | undefined => {
    const value = config.options[key]
    if (value === undefined || typeof value === 'string') return value
    fault(`"${key}" is no text`, `Write a text, such as "src/hello.handler".`, key)
    return undefined
  }
  const options = {
    handler: text('handler') ?? '',
    runtime: text('runtime'),
    entry: text('entry'),
    region: text('region'),
    inlineCode: text('inlineCode'),
    archive: text('archive'),
    esbuild: buildSettings(config, fault),
    built: config.options['built'] === true,
  }
  checkHandler(options, config, fault)
  checkBounds(config, fault)
  checkCharacters(config, options.handler, fault)
  await checkSettings(config, fault)
  if (faults.length > 0) throw configError(faults)
  return { ...options, handler: options.handler === '' ? 'bootstrap' : options.handler }
}

/** @param option what it is about, as people write it: `sources[0].queue`. */
type Report = (message: string, hint: string, option?: string) => void

function pathOf(option: string): readonly (string | number)[] {
  const parts = option.split(/[.[\]]+/).filter((part) => part !== '')
  return parts.map((part) => (/^\d+$/.test(part) ? Number(part) : part))
}

function checkNames({ options }: FunctionConfig, fault: Report): void {
  for (const key of Object.keys(options)) {
    if (!KNOWN.some((known) => known === key))
      fault(
        `a Lambda has no option "${key}"`,
        `It has: ${KNOWN.filter((known) => !UNTOLD.has(known)).join(', ')}.`,
        key,
      )
  }
}

function buildSettings({ options }: FunctionConfig, fault: Report): BuildSettings | undefined {
  const settings = options['esbuild']
  if (settings === undefined) return undefined
  if (typeof settings === 'object' && settings !== null && !Array.isArray(settings)) return settings
  fault('"esbuild" is no object', 'Write { "loader": { ".sql": "text" } }.', 'esbuild')
  return undefined
}

async function checkSettings({ options }: FunctionConfig, fault: Report): Promise<void> {
  if (!SETTINGS.some((name) => options[name] !== undefined)) return
  const { settingsProblems } = await import('./option-checks/settings.ts')
  for (const { message, hint, option } of settingsProblems(options)) fault(message, hint, option)
  const { sources } = options
  if (!Array.isArray(sources) || sources.length === 0) return
  const { sourceProblems } = await import('./option-checks/sources.ts')
  for (const { message, hint, option } of await sourceProblems(sources)) fault(message, hint, option)
}

function checkHandler({ handler, runtime }: LambdaOptions, config: FunctionConfig, fault: Report): void {
  const needed = config.options['handler'] === undefined && runtime?.startsWith('provided') !== true
  if (needed) fault('no handler', 'Add "handler": "src/hello.handler".')
  if (handler.includes('..')) {
    fault(
      `"${handler}" is no handler: ".." may not be in it`,
      'Set the function’s folder instead.',
      'handler',
    )
  }
  if (runtime !== undefined && !RUNTIME_RUNS.test(runtime)) {
    fault(`runtime "${runtime}" does not run here`, `Use ${RUNTIMES_IN_WORDS}.`, 'runtime')
  }
}

/** The handler is a variable too. */
function checkCharacters({ environment }: FunctionConfig, handler: string, fault: Report): void {
  for (const [name, value] of Object.entries({ ...environment, _HANDLER: handler }))
    if (value.includes('\0'))
      fault(`the variable ${name} has a NUL character, which no process can be given`, 'Take it out.')
}

function checkBounds(config: FunctionConfig, fault: Report): void {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, memoryMb = DEFAULT_MEMORY_MB } = config
  if (!(timeoutMs > 0 && timeoutMs <= TIMEOUT_MS_MAX)) {
    fault(`a timeout of ${timeoutMs / 1000} s cannot be`, `Use up to ${TIMEOUT_MS_MAX / 1000} s.`, 'timeout')
  }
  if (!(memoryMb >= DEFAULT_MEMORY_MB && memoryMb <= MEMORY_MB_MAX)) {
    fault(`${memoryMb} MB of memory cannot be`, `Use ${DEFAULT_MEMORY_MB} to ${MEMORY_MB_MAX} MB.`, 'memory')
  }
}
