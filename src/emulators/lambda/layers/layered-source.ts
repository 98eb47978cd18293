import { dirname, join, sep } from 'node:path'

import { errorMessage } from '../../../core/errors.ts'
import type {
  Code,
  FunctionConfig,
  FunctionSource,
  Instance,
  PackagedFile,
  PackageOptions,
} from '../../../core/function.ts'
import type { AbsolutePath, Revision } from '../../../core/place.ts'
import type { Definition } from '../definition.ts'
import { layersOf, type Layer } from './layer.ts'
import { heldMerges, mergeLayers, type Merged } from './merge.ts'
import { mapOptPaths, readOpt, type Opt } from './opt.ts'

interface LayeredOptions {
  readonly layers: readonly Layer[]
  /** Without what layers bring. */
  readonly definition: Definition
  /** A source of the function as it is with them. */
  open(definition: Definition): FunctionSource
}

/** A layer that is an ARN is not here: that is a warning, and the function is served. */
export function openLayered(
  config: FunctionConfig,
  definition: Definition,
  open: (definition: Definition) => FunctionSource,
): FunctionSource {
  const { layers, absent } = layersOf(config)
  for (const layer of absent)
    definition.scope.log.warn('layer.absent', {
      function: config.name,
      layer,
      hint: 'Name a folder or a zip file with its content instead.',
    })
  return layers.length === 0 ? open(definition) : new LayeredSource({ layers, definition, open })
}

/** A source of the function, with the layers as they were. */
interface Held {
  readonly source: FunctionSource
  readonly opt: Opt
  /** The merge may go. */
  readonly release: () => void
}

/** A function with layers: they are merged before its code is built, and a change in one of them is a change of the function. */
class LayeredSource implements FunctionSource {
  readonly #options: LayeredOptions
  /** The newest last. */
  #held: readonly Held[] = []
  /** What runs: the last one of which an environment could start. It may be asked for another. */
  #served: Held | undefined
  #outside: readonly AbsolutePath[] = []
  #mustLook = true
  #isTold = false
  #isCancelled = false

  constructor(options: LayeredOptions) {
    this.#options = options
  }

  async build(): Promise<Code> {
    const held = await this.#prepare()
    const built = await held.source.build()
    const revision = `${built.revision}${held.opt.directory.split('-').at(-1) ?? ''}` as Revision
    const start = async (): Promise<Instance> => {
      const instance = await built.start()
      this.#served = held
      return instance
    }
    // Agents listen on ports of their own: another copy, now or after a reload, wants the same.
    const alone = held.opt.extensions.length > 0 ? { instancesMax: 1, exclusive: true } : {}
    return { ...built, ...alone, revision, start }
  }

  watched(): readonly AbsolutePath[] {
    const paths = this.#options.layers.map(({ path }) => path)
    // One that is not there yet is seen to come by whoever watches where it should be.
    const missing = this.#newest === undefined ? paths.map((path) => dirname(path) as AbsolutePath) : []
    return [...new Set([...(this.#newest?.source.watched() ?? []), ...paths, ...missing, ...this.#outside])]
  }

  changed(files: readonly AbsolutePath[]): void {
    this.#isTold = true
    const roots = [...this.#options.layers.map(({ path }) => path), ...this.#outside]
    if (files.some((file) => roots.some((root) => file === root || file.startsWith(root + sep))))
      this.#mustLook = true
    this.#newest?.source.changed?.(files)
  }

  async lackedIsThere(): Promise<boolean> {
    return this.#newest === undefined ? true : ((await this.#newest.source.lackedIsThere?.()) ?? false)
  }

  cancel(): void {
    this.#isCancelled = true
    this.#newest?.source.cancel?.()
  }

  async package(directory: AbsolutePath, options?: PackageOptions): Promise<readonly PackagedFile[]> {
    return (await this.#prepare()).source.package(directory, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#held.map(dispose))
  }

  get #newest(): Held | undefined {
    return this.#held.at(-1)
  }

  /** The source of the layers as they are now: another one when they have changed, because processes know where they are. */
  async #prepare(): Promise<Held> {
    const newest = this.#newest
    // Who is told of every change need not look through thousands of files at each of them.
    const isKnown = this.#isTold && !this.#mustLook
    this.#isTold = false
    if (newest !== undefined && isKnown) return newest
    const merged = await this.#merge()
    this.#outside = merged.watched
    if (newest !== undefined && merged.directory === newest.opt.directory) return newest
    const release = heldMerges.hold(merged.directory)
    const opt = await readOpt(merged.directory)
    const held = { opt, release, source: this.#options.open(withLayers(this.#options.definition, opt)) }
    if (this.#isCancelled) held.source.cancel?.()
    this.#hold(held)
    return held
  }

  async #merge(): Promise<Merged> {
    const { layers, definition } = this.#options
    // A change from now on may come too late for what is read.
    this.#mustLook = false
    try {
      return await mergeLayers(layers, definition.scope.stateDirectory)
    } catch (error) {
      this.#mustLook = true
      throw error
    }
  }

  /** What serves stays, however many edits came to nothing since; and the one before, which may still be drained. */
  #hold(held: Held): void {
    const before = this.#newest
    const kept = this.#held.filter((one) => one === before || one === this.#served)
    const unused = this.#held.filter((one) => !kept.includes(one))
    this.#held = [...kept, held]
    for (const one of unused) {
      dispose(one).catch((error: unknown) => {
        this.#options.definition.scope.log.warn('source.dispose', { error: errorMessage(error) })
      })
    }
  }
}

async function dispose({ source, release }: Held): Promise<void> {
  release()
  await source[Symbol.asyncDispose]()
}

/** Monitoring tools have their own handler in a layer, which calls the function’s. */
function withLayers(definition: Definition, opt: Opt): Definition {
  const { handler } = definition.options
  const placed = handler.startsWith('/opt/') ? join(opt.directory, handler.slice('/opt/'.length)) : handler
  return {
    ...definition,
    opt,
    options: { ...definition.options, handler: placed },
    environment: mapOptPaths(opt, definition.environment),
  }
}
