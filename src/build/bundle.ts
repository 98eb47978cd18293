import { dirname, resolve } from 'node:path'

import type { BuildContext, BuildOptions, BuildResult, Message, Plugin } from 'esbuild'

import { FlexiError } from '../core/errors.ts'
import type { AbsolutePath, Fault } from '../core/place.ts'

export interface BundleOptions {
  readonly entry: AbsolutePath
  /** Where esbuild resolves relative names from; inputs are read below and above it. */
  readonly directory: AbsolutePath
  /** The provider's own settings. `entryPoints`, `bundle`, `write`, `metafile` and `absWorkingDir` are the bundle's. */
  readonly esbuild: BuildOptions
}

interface BundleFile {
  /** Where esbuild would have written it. */
  readonly path: AbsolutePath
  readonly contents: Uint8Array
  /** Changes when the contents do. */
  readonly hash: string
}

export interface BundleResult {
  readonly files: readonly BundleFile[]
  /** Every file that was read. */
  readonly inputs: readonly AbsolutePath[]
  /** Bytes of each input in the output, keyed by its absolute path. */
  readonly inputBytes: ReadonlyMap<AbsolutePath, number>
  /** Names left to the run time: `node:fs`, and packages when they are external. */
  readonly externals: readonly string[]
  /** Warnings; errors are thrown. */
  readonly faults: readonly Fault[]
}

/** One entry, built again and again. */
export interface Bundle extends AsyncDisposable {
  /**
   * Builds the files as they are now; incremental after the first time.
   * @throws FlexiError FLEXI_BUILD with every fault at its file, line and column.
   */
  build(): Promise<BundleResult>
  /** What to watch: the inputs of the last build, and when it failed also the files it got to and the folders where one is missing. */
  watched(): readonly AbsolutePath[]
}

/** A bundle that is rebuilt in place by esbuild's incremental context. Loads esbuild, so call it when there is something to build. */
export async function openBundle(options: BundleOptions): Promise<Bundle> {
  const esbuild = await import('esbuild')
  openBundles += 1
  const settings: BuildOptions = {
    logLevel: 'silent',
    ...options.esbuild,
    entryPoints: [options.entry],
    absWorkingDir: options.directory,
    bundle: true,
    write: false,
    metafile: true,
  }
  let context: BuildContext | undefined
  let watched: readonly AbsolutePath[] = [options.entry]
  let disposed = false
  return {
    async build() {
      try {
        context ??= await esbuild.context(settings)
        const result = asBundleResult(await context.rebuild(), options.directory)
        watched = result.inputs
        return result
      } catch (error) {
        const messages = buildMessages(error)
        if (messages === undefined) throw error
        const reached = await filesReached(settings, esbuild.build)
        watched = [...new Set([...watched, ...reached, ...missingPlaces(messages, options.directory)])]
        throw buildError(messages.map((message) => faultOf(message, options.directory)))
      }
    },
    watched: () => watched,
    async [Symbol.asyncDispose]() {
      if (disposed) return
      disposed = true
      await context?.dispose()
      openBundles -= 1
      if (openBundles === 0) await esbuild.stop()
    },
  }
}

/** esbuild is a process of its own that all bundles share; it ends with the last of them. */
let openBundles = 0

/** What a failed build is reported as. The first fault is in the message; all of them are in `faults`. */
export function buildError(faults: readonly Fault[]): FlexiError {
  const [first] = faults
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : ''
  const where =
    first === undefined
      ? ''
      : ` ${first.place.file}:${first.place.line}:${first.place.column}: ${first.message}`
  return new FlexiError('FLEXI_BUILD', `the build failed${where === '' ? '' : `:${where}${more}`}`, {
    faults,
  })
}

/** esbuild's messages as faults. Its columns count bytes from 0, ours characters from 1. */
function faultOf(message: Message, directory: string, severity: Fault['severity'] = 'error'): Fault {
  const { location } = message
  const hint = location?.suggestion || message.notes.map((note) => note.text).find((text) => text !== '')
  const end = hint === undefined ? {} : { hint: location?.suggestion ? `Write ${hint}` : hint }
  if (location === null) {
    return { place: { file: directory, line: 1, column: 1 }, message: message.text, severity, ...end }
  }
  const before = Buffer.from(location.lineText).subarray(0, location.column).toString()
  return {
    place: {
      // A syntax error comes without a namespace.
      file:
        location.namespace === 'file' || location.namespace === ''
          ? resolve(directory, location.file)
          : location.file,
      line: location.line,
      column: before.length + 1,
    },
    message: message.text,
    text: location.lineText,
    severity,
    ...end,
  }
}

/** The messages of an esbuild failure; undefined for any other error. */
function buildMessages(error: unknown): readonly Message[] | undefined {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors) ? error.errors : undefined
}

function asBundleResult(result: BuildResult, directory: AbsolutePath): BundleResult {
  const absolute = (path: string): AbsolutePath => resolve(directory, path) as AbsolutePath
  const outputs = Object.values(result.metafile?.outputs ?? {})
  const inputBytes = new Map<AbsolutePath, number>()
  for (const output of outputs) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      inputBytes.set(absolute(path), (inputBytes.get(absolute(path)) ?? 0) + bytesInOutput)
    }
  }
  const externals = outputs.flatMap((output) => output.imports.filter((item) => item.external))
  return {
    files: (result.outputFiles ?? []).map(({ path, contents, hash }) => ({
      path: path as AbsolutePath,
      contents,
      hash,
    })),
    // A plugin's virtual modules (`ns:name`) are no files.
    inputs: Object.keys(result.metafile?.inputs ?? {})
      .filter((path) => !/^[\w-]{2,}:/.test(path))
      .map(absolute),
    inputBytes,
    externals: [...new Set(externals.map((item) => item.path))],
    faults: result.warnings.map((message) => faultOf(message, directory, 'warning')),
  }
}

/** esbuild tells no inputs when it fails, so they are noted in a second run, off the fast path. */
async function filesReached(
  settings: BuildOptions,
  build: (settings: BuildOptions) => Promise<unknown>,
): Promise<readonly AbsolutePath[]> {
  const reached = new Set<AbsolutePath>()
  const note: Plugin = {
    name: 'note-inputs',
    setup: (api) =>
      api.onLoad({ filter: /.*/, namespace: 'file' }, ({ path }) => {
        reached.add(path as AbsolutePath)
        return undefined
      }),
  }
  await build({ ...settings, plugins: [note, ...(settings.plugins ?? [])] }).catch(() => undefined)
  return [...reached]
}

/** The folders where a file that could not be found would have to appear. */
function missingPlaces(messages: readonly Message[], directory: string): readonly AbsolutePath[] {
  return messages.flatMap((message) => {
    const specifier = /^Could not resolve "(\.[^"]*)"/.exec(message.text)?.[1]
    if (specifier === undefined || message.location === null) return []
    const importer = resolve(directory, message.location.file)
    return [dirname(resolve(dirname(importer), specifier)) as AbsolutePath]
  })
}
