import { isAbsolute, relative } from 'node:path'

import { FlexiError } from '../core/errors.ts'
import type { Detection, Emulator } from '../core/function.ts'
import type { AbsolutePath, Fault, Place } from '../core/place.ts'
import type { RouteDraft } from './bind-routes.ts'
import { readConfigFile, type ConfigFile } from './config-file.ts'
import type { ParsedFlexiJson } from './flexi-json.ts'
import { parseProxyIni } from './proxy-ini.ts'

export interface ReadProjectOptions {
  readonly directory: AbsolutePath
  /** The registry: a target is offered to the providers in its order. */
  readonly emulators: Readonly<Record<string, Emulator>>
  readonly environment: Readonly<Record<string, string | undefined>>
  /**
   * Another flexi.jsonc than the one in the directory; its relative paths start in the directory all the same. Or a file of a provider
   * (`Emulator.ownsFile`), which counts in place of flexi.jsonc and of what that provider would find.
   */
  readonly configFile?: AbsolutePath | undefined
  /** `--env-file`: variables for every function but Workers, which have files of their own. */
  readonly envFile?: AbsolutePath | undefined
  /** FlexiLib's mode: this file alone is read. */
  readonly only?: 'proxy.ini' | undefined
  /** A folder with nothing to serve is no error. */
  readonly mayBeEmpty?: boolean | undefined
  /** For functions that say none. */
  readonly timeoutMs?: number | undefined
}

/** What every file of a directory says, before any of it is put together. */
export interface Sources {
  readonly flexi: Omit<ParsedFlexiJson, 'faults' | 'mayDefine' | 'files'>
  readonly proxyIni: readonly RouteDraft[]
  readonly detections: readonly Detection[]
  readonly files: readonly AbsolutePath[]
  readonly faults: readonly Fault[]
  /** What providers' files declare besides functions, by provider. */
  readonly resources: Readonly<Record<string, readonly unknown[]>>
  /** True for a name that a file with faults may mean to define. */
  mayDefine(name: string): boolean
}

/** One file's part of them. */
interface Reading<Content> {
  readonly content: Content
  readonly files: readonly AbsolutePath[]
  readonly faults: readonly Fault[]
}

/** Reads all files together, so that the faults of one do not hide those of another. */
export async function readSources(options: ReadProjectOptions): Promise<Sources> {
  const alone = options.only !== undefined
  const providers = alone ? [] : Object.values(options.emulators)
  const [proxyIni, flexi, ...detections] = await Promise.all([
    attempt(readProxyIni(options), []),
    attempt(alone ? Promise.resolve(NO_FLEXI) : readFlexiJson(options), NO_FLEXI.content),
    ...providers.map((emulator) => attempt(readDetection(emulator, options), NO_DETECTION)),
  ])
  const detectionFailed = detections.some(({ faults }) =>
    faults.some(({ severity }) => severity !== 'warning'),
  )
  return {
    flexi: flexi.content,
    proxyIni: proxyIni.content,
    detections: detections.map(({ content }) => content),
    resources: Object.fromEntries(
      providers.map(({ name }, index) => [name, detections[index]?.content.resources ?? []]),
    ),
    files: [flexi, proxyIni, ...detections].flatMap(({ files }) => files),
    faults: [flexi, proxyIni, ...detections]
      .flatMap(({ faults }) => faults)
      .map((fault) => ({ ...fault, place: shown(fault.place, options.directory) })),
    mayDefine: (name) => detectionFailed || flexi.content.mayDefine(name),
  }
}

const NO_DETECTION: Detection = { functions: [], routes: [], files: [], faults: [] }

const NO_FLEXI: Reading<Omit<ParsedFlexiJson, 'faults' | 'files'>> = {
  content: { functions: [], routes: [], server: {}, mayDefine: () => false },
  files: [],
  faults: [],
}

/** A file that cannot be read at all is a fault among the others. */
async function attempt<Content>(
  reading: Promise<Reading<Content>>,
  nothing: Content,
): Promise<Reading<Content>> {
  try {
    return await reading
  } catch (error) {
    if (!(error instanceof FlexiError) || error.faults.length === 0) throw error
    return { content: nothing, files: [], faults: error.faults }
  }
}

async function readDetection(
  emulator: Emulator,
  { directory, environment, configFile }: ReadProjectOptions,
): Promise<Reading<Detection>> {
  const file = isOf(emulator, configFile) ? configFile : undefined
  const detection = await emulator.detect(directory, { environment, file })
  const { functions, routes, files, faults, resources } = detection
  const named = <Part extends { readonly origin: Place }>(part: Part): Part => ({
    ...part,
    origin: shown(part.origin, directory),
  })
  return {
    content: { functions: functions.map(named), routes: routes.map(named), files, faults, resources },
    files,
    faults,
  }
}

function isOf(emulator: Emulator, configFile: AbsolutePath | undefined): boolean {
  return configFile !== undefined && emulator.ownsFile?.(configFile) === true
}

/** Providers name files in full; messages are shorter, and alike, without the folder of the project. */
function shown(place: Place, directory: AbsolutePath): Place {
  return isAbsolute(place.file) ? { ...place, file: relative(directory, place.file) } : place
}

async function readProxyIni({ directory }: ReadProjectOptions): Promise<Reading<readonly RouteDraft[]>> {
  const file = await readConfigFile(directory, 'proxy.ini')
  if (file === undefined) return { content: [], files: [], faults: [] }
  const { entries, faults } = parseProxyIni(file.text, file.name)
  const content = entries.map(({ matcher, key, value, place, valuePlace, text }) => {
    return { matcher, pattern: key, to: value, origin: place, targetPlace: valuePlace, text }
  })
  return { content, files: [file.path], faults }
}

async function readFlexiJson(options: ReadProjectOptions): Promise<typeof NO_FLEXI> {
  const { directory, emulators, configFile } = options
  if (Object.values(emulators).some((emulator) => isOf(emulator, configFile))) return NO_FLEXI
  const { file, faults: choice } = await findFlexiJson(options)
  if (file === undefined) return NO_FLEXI
  // Its parser and zod take as long to load as all else here, and most projects have no such file.
  const { parseFlexiJson } = await import('./flexi-json.ts')
  const parsed = await parseFlexiJson(file.text, {
    file: file.name,
    directory,
    providers: Object.keys(emulators),
  })
  return { content: parsed, files: [file.path, ...parsed.files], faults: [...choice, ...parsed.faults] }
}

async function findFlexiJson({
  directory,
  configFile,
}: ReadProjectOptions): Promise<{ file: ConfigFile | undefined; faults: readonly Fault[] }> {
  if (configFile !== undefined) {
    const file = await readConfigFile(directory, configFile)
    if (file !== undefined) return { file, faults: [] }
    throw new FlexiError('FLEXI_NO_INPUT', `there is no file ${configFile}`)
  }
  const [withComments, plain] = await Promise.all([
    readConfigFile(directory, 'flexi.jsonc'),
    readConfigFile(directory, 'flexi.json'),
  ])
  if (withComments === undefined || plain === undefined) return { file: withComments ?? plain, faults: [] }
  const place = { file: plain.name, line: 1, column: 1 }
  const message = 'not read, because there is a flexi.jsonc'
  return {
    file: withComments,
    faults: [{ place, message, hint: 'Remove one of the two.', severity: 'warning' }],
  }
}
