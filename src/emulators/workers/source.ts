import { relative } from 'node:path'

import { FlexiError } from '../../core/errors.ts'
import type {
  Code,
  FunctionConfig,
  FunctionScope,
  FunctionSource,
  PackagedFile,
} from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { mayBeBare } from './bare/bare.ts'
import { groupsOf, type BuiltWorker, type Groups, type Member } from './groups/groups.ts'
import { loadMiniflare } from './miniflare.ts'
import { openSettings } from './open-settings.ts'
import { LIST_FILE } from './shipped/shipped-files.ts'
import { programEntry, type Settings, type SettingsReader } from './settings.ts'
import { openWorkerBundle, programKey, type Program, type WorkerBundle } from './worker-bundle.ts'
import { workerCode } from './worker-code.ts'

/** Validates the function's options and its wrangler file. @throws FlexiError FLEXI_CONFIG, FLEXI_NO_INPUT. */
export async function openSource(config: FunctionConfig, scope: FunctionScope): Promise<FunctionSource> {
  if (scope.confinement !== undefined && config.options['shipped'] !== true) throw notPacked(config)
  const settings = await openSettings(config, (stream, text) => scope.output({ stream, level: 'info', text }))
  const first = await settings.read()
  return new WorkerSource(config, scope, { reader: settings, first })
}

/** To build it here would be to run what a deployer wrote in a process that may do more than them. */
function notPacked({ name }: FunctionConfig): FlexiError {
  return new FlexiError('FLEXI_CONFIG', `${name}: the artifact holds no worker that is ready to run`, {
    hint: 'Deploy the folder of the project with "flexi deploy", which builds it first.',
  })
}

const SILENT_SCRIPT =
  'console.* of a program without exports is not shown: workerd logs what modules print. Write "export default { fetch … }"'

class WorkerSource implements FunctionSource, Member {
  readonly config: FunctionConfig
  readonly scope: FunctionScope
  readonly #groups: Groups
  readonly #membership: Disposable
  readonly #settings: SettingsReader
  readonly #told = new Set<string>()
  #bundle: { readonly key: string; readonly bundle: WorkerBundle } | undefined

  /** Of the last `read()`. */
  #current: Settings
  #built: BuiltWorker | undefined
  #building: Promise<BuiltWorker> | undefined

  constructor(
    config: FunctionConfig,
    scope: FunctionScope,
    settings: { readonly reader: SettingsReader; readonly first: Settings },
  ) {
    this.config = config
    this.scope = scope
    this.#settings = settings.reader
    this.#current = settings.first
    this.#groups = groupsOf(scope.app)
    this.#membership = this.#groups.join(this)
  }

  settings(): Settings {
    return this.#current
  }

  async built(): Promise<BuiltWorker> {
    return this.#built ?? (await (this.#building ?? this.#build()))
  }

  async build(): Promise<Code> {
    const built = await this.#build()
    this.#warn(built.settings, built.program)
    return workerCode(built, () => this.#groups.start(this, built))
  }

  async #build(): Promise<BuiltWorker> {
    const building = this.#buildOnce()
    this.#building = building
    try {
      this.#built = await building
      return this.#built
    } finally {
      if (this.#building === building) this.#building = undefined
    }
  }

  async #buildOnce(): Promise<BuiltWorker> {
    const settings = await this.#settings.prepare('dev')
    this.#current = settings
    if (this.config.options['shipped'] === true)
      return { settings, program: await this.#shippedProgram(settings) }
    const bundle = await this.#openBundle(settings)
    return { settings, program: await bundle?.build() }
  }

  async #shippedProgram({ config }: Settings): Promise<Program | undefined> {
    if (config.main === undefined) return undefined
    const { readShippedProgram } = await import('./shipped/shipped-program.ts')
    return await readShippedProgram(this.config.directory, LIST_FILE)
  }

  watched(): readonly AbsolutePath[] {
    return [...this.#settings.watched(), ...(this.#bundle?.bundle.watched() ?? [])]
  }

  async package(directory: AbsolutePath): Promise<readonly PackagedFile[]> {
    const { shipWorker } = await import('./shipped/ship-worker.ts')
    return shipWorker(await this.#settings.prepare('deploy'), {
      directory,
      project: this.config.directory,
    })
  }

  shipped(): Readonly<Record<string, unknown>> {
    const { crons, time_zone } = this.config.options
    return {
      shipped: true,
      ...(crons === undefined ? {} : { crons }),
      ...(time_zone === undefined ? {} : { time_zone }),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#membership[Symbol.dispose]()
    await this.#settings[Symbol.asyncDispose]()
    await this.#bundle?.bundle[Symbol.asyncDispose]()
  }

  /** esbuild's context lives as long as its settings do. */
  async #openBundle(settings: Settings): Promise<WorkerBundle | undefined> {
    const { config, compatibility } = settings
    const entry = await programEntry(settings)
    if (entry === undefined) return undefined
    const key = programKey(entry, settings)
    if (this.#bundle?.key === key) return this.#bundle.bundle
    await this.#bundle?.bundle[Symbol.asyncDispose]()
    // esbuild works in a process of its own; loading miniflare takes this one as long.
    const bundle = await openWorkerBundle({
      entry,
      config,
      compatibility,
      mode: 'development',
      onStart: mayBeBare(settings) ? undefined : loadMiniflare,
    })
    this.#bundle = { key, bundle }
    return bundle
  }

  /** Each warning once, however often the same files are built. */
  #warn(settings: Settings, program: Program | undefined): void {
    const faults = [...settings.configuration.warnings, ...(program?.warnings ?? [])].map(
      ({ place, message, hint }) =>
        `${relative(this.config.directory, place.file)}:${place.line}:${place.column}  ${message}${hint === undefined ? '' : ` ${hint}`}`,
    )
    const silent = program?.format === 'service-worker' ? [SILENT_SCRIPT] : []
    for (const text of [...faults, ...settings.warnings, ...silent]) {
      if (this.#told.has(text)) continue
      this.#told.add(text)
      this.scope.output({ stream: 'platform', level: 'warn', text })
    }
  }
}
