import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

import { errorMessage, FlexiError } from '../../core/errors.ts'
import type { Code, FunctionConfig, FunctionScope, FunctionSource, Instance } from '../../core/function.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Logger } from '../../core/log.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { emulatorOf, emulators } from '../../emulators/registry.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import type { Artifacts } from '../artifacts.ts'
import type { FunctionKey, VersionRecord } from '../model.ts'
import { sandboxPolicy } from './sandbox-policy.ts'
import { versionEnvironment, versionFunction } from './version-function.ts'

/** What versions are opened with. */
export interface Workshop {
  readonly artifacts: Artifacts
  readonly sandbox: Sandbox
  /** Of a function, secrets included. Asked whenever a version of it is opened. */
  variables(name: string): Readonly<Record<string, string>>
  /** `FunctionRecord.number`; undefined for a function that is gone. */
  functionNumber(name: string): number | undefined
  /** A folder a function is made in it, for what it stores. */
  readonly stateDirectory: AbsolutePath
  readonly log: Logger
  /** Where the daemon is reached, when it is. */
  readonly origin?: (() => string | undefined) | undefined
}

/** Of one version: the same whenever it is opened. */
export type VersionScope = Pick<FunctionScope, 'app' | 'output' | 'report'>

/** The code of a version in its sandbox, ready to start instances. Closing ends what it holds; its instances are ended before. */
export interface OpenedVersion {
  readonly code: Code
  /** Instances that have not ended. */
  readonly instances: number
  /** Called once, when nothing of it will be started any more: closes as soon as its instances have ended. */
  retire(): void
  /** Closes now. Never rejects. */
  close(): Promise<void>
}

/**
 * Opens a version: unpacks its artifact, opens its sandbox and builds what there is to build. Starts nothing.
 * @throws FlexiError FLEXI_DEPLOY, FLEXI_SANDBOX, FLEXI_CONFIG, FLEXI_BUILD …
 */
export async function openVersion(
  record: VersionRecord,
  workshop: Workshop,
  own: VersionScope,
): Promise<OpenedVersion> {
  const config = await openedConfig(record, workshop)
  const policy = sandboxPolicy(record, {
    contents: config.directory,
    state: functionState(workshop.stateDirectory, record.name),
    number: numberOf(record, workshop),
  })
  const faults = workshop.sandbox.check(policy)
  if (faults.length > 0)
    throw new FlexiError(
      'FLEXI_SANDBOX',
      `${policy.name} cannot be kept apart as it asks: ${faults.join('; ')}`,
    )
  const confinement = await workshop.sandbox.open(policy)
  let source: FunctionSource | undefined
  try {
    const scope = {
      ...own,
      log: workshop.log.child({ function: record.name, version: record.version }),
      mode: 'serve' as const,
      stateDirectory: await stateOf(record, workshop),
      threads: availableParallelism(),
      confinement,
      endpoints: () => ({ origin: workshop.origin?.() }),
    }
    source = await emulatorOf(config.provider).open(config, scope)
    return new Opened(await source.build(), [source, confinement], scope.log)
  } catch (error) {
    await source?.[Symbol.asyncDispose]()
    await confinement[Symbol.asyncDispose]()
    throw error
  }
}

/** A version as its emulator is given it. @throws FlexiError FLEXI_UPLOAD, FLEXI_DEPLOY for a provider that there is none of. */
export async function openedConfig(record: VersionRecord, workshop: Workshop): Promise<FunctionConfig> {
  const { provider } = record.config
  if (!Object.hasOwn(emulators, provider))
    throw new FlexiError(
      'FLEXI_DEPLOY',
      `${record.name}@${record.version}: no provider is called ${provider}`,
      {
        hint: `There are ${Object.keys(emulators).join(', ')}.`,
      },
    )
  const directory = await workshop.artifacts.unpack(record.artifact)
  const state = functionState(workshop.stateDirectory, record.name)
  const environment = versionEnvironment(record, { state, variables: workshop.variables(record.name) })
  return versionFunction(record, directory, environment)
}

function numberOf({ name }: VersionRecord, { functionNumber }: Pick<Workshop, 'functionNumber'>): number {
  const number = functionNumber(name)
  if (number !== undefined) return number
  throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `no function is called ${name}`)
}

/** What a worker stores is the function's; what others build there is the version's, so that two of them never meet. */
async function stateOf(record: VersionRecord, { stateDirectory }: Workshop): Promise<AbsolutePath> {
  const isShared = record.config.provider === 'workers'
  const path = isShared ? storedState(stateDirectory, record.name) : versionState(stateDirectory, record)
  await mkdir(path, { recursive: true })
  return path
}

function functionState(directory: AbsolutePath, name: string): AbsolutePath {
  return join(directory, name) as AbsolutePath
}

/** Of a worker: above the folders that it is given, so that it can put no link in the place of one. */
export function storedState(directory: AbsolutePath, name: string): AbsolutePath {
  return join(directory, '.stored', name) as AbsolutePath
}

/** Ends with the version. Not in the function's own folder: it owns that one, and could make a link of whatever is in it. */
export function versionState(directory: AbsolutePath, { name, version }: FunctionKey): AbsolutePath {
  return join(directory, '.versions', name, version) as AbsolutePath
}

class Opened implements OpenedVersion {
  readonly code: Code
  readonly #parts: readonly AsyncDisposable[]
  readonly #log: Logger
  readonly #live = new Set<Promise<Instance>>()
  #retired = false
  #closed: Promise<void> | undefined

  constructor(code: Code, parts: readonly AsyncDisposable[], log: Logger) {
    this.#parts = parts
    this.#log = log
    this.code = { ...code, start: () => this.#start(code) }
  }

  get instances(): number {
    return this.#live.size
  }

  retire(): void {
    this.#retired = true
    this.#closeWhenUnused()
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #start(code: Code): Promise<Instance> {
    const starting = code.start()
    this.#live.add(starting)
    const end = (): void => {
      this.#live.delete(starting)
      this.#closeWhenUnused()
    }
    starting.then(({ closed }) => closed).then(end, end)
    return await starting
  }

  #closeWhenUnused(): void {
    if (this.#retired && this.#live.size === 0) void this.close()
  }

  async #close(): Promise<void> {
    for (const part of this.#parts) {
      try {
        await part[Symbol.asyncDispose]()
      } catch (error) {
        this.#log.warn('version.close', { error: errorMessage(error) })
      }
    }
  }
}

/** What a version's configuration says about its instances, of what its code can. */
export function instancesMax(record: VersionRecord, code: Code): number {
  return Math.min(code.instancesMax ?? Infinity, record.config.instances.max ?? LIMITS.instancesMax)
}
