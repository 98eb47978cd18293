import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'

import type { Code, FunctionConfig, FunctionScope, Instance } from '../../core/function.ts'
import type { Revision } from '../../core/place.ts'
import {
  ASSETS_ONLY_MODULE,
  FACADE_NAME,
  facadeModule,
  type FacadeNames,
  type ThrownRecord,
} from './facade.ts'
import { endFault, startError, throwFault } from './faults.ts'
import { openInstance } from './instance.ts'
import type { MiniflareModuleSource, MiniflareSource } from './miniflare.ts'
import type { RuntimeLine } from './runtime-log.ts'
import { startRuntime, type Runtime, type RuntimeOptions } from './runtime.ts'
import { hash, type Settings } from './settings.ts'
import { createStackReader, type StackReader } from './stack.ts'
import { unavailableStubs } from './unavailable.ts'
import type { Program } from './worker-bundle.ts'
import { stateFolder } from './workerd.ts'

export interface StartOptions {
  readonly config: FunctionConfig
  readonly scope: FunctionScope
  readonly settings: Settings
  /** Undefined for a worker that serves assets only. */
  readonly program: Program | undefined
}

export interface WorkerCodeOptions extends Pick<StartOptions, 'scope' | 'settings' | 'program'> {
  start(): Promise<Instance>
}

/** Cloudflare's default for CPU time on its paid plan. */
const CPU_MS = 30_000
/** Cloudflare's limit for one isolate. */
const ISOLATE_MB = 128
/** What workerd holds besides the isolate: it keeps freed pages under load and grew to 500 MB with a trivial worker. */
const RUNTIME_MB = 640

/** One revision of a worker. */
export function workerCode({ scope, settings, program, start }: WorkerCodeOptions): Code {
  return {
    revision: hash(settings.fingerprint, program?.hash ?? '') as Revision,
    concurrency: Infinity,
    instancesMax: 1,
    upgrades: true,
    // A debugger's port can be listened to once.
    exclusive: settings.bindings.exclusive || scope.inspectPort !== undefined,
    start,
  }
}

/** A runtime for this worker alone. */
export async function startAlone(options: StartOptions): Promise<Instance> {
  const { config, scope, settings, program } = options
  const token = randomBytes(8).toString('hex')
  const names: FacadeNames = { faultField: `flexi-fault-${token}`, logMark: `flexi-fault-${token} ` }
  const stacks = createStackReader({
    name: program?.name ?? FACADE_NAME,
    sourceMap: program?.sourceMap,
    directory: dirname(settings.config.configPath ?? '.'),
  })
  const output = createOutput({ config, scope, stacks, logMark: names.logMark })
  const runtime = await startOrExplain(config.name, stacks, {
    workers: workersOf(settings, program, names),
    state: stateFolder(scope.stateDirectory),
    inspectPort: scope.inspectPort,
    onLine: output.line,
    onNote: (text) => scope.output({ stream: 'platform', level: 'warn', text }),
  })
  const limitMs = config.timeoutMs ?? settings.config.limits?.cpu_ms ?? CPU_MS
  const memoryBytesMax = ((config.memoryMb ?? ISOLATE_MB) + RUNTIME_MB) * 1024 * 1024
  return openInstance({
    runtime,
    faultField: names.faultField,
    limitMs,
    countsWaiting: config.timeoutMs !== undefined,
    memoryBytesMax,
    faultOf: ({ record }, requestId) => throwFault(record, { name: config.name, stacks, requestId }),
    faultOfEnd: (kind) =>
      endFault({ name: config.name, kind, lastWords: output.lastWords(), limitMs, memoryBytesMax }),
    report: (fault) => scope.report(fault),
  })
}

async function startOrExplain(name: string, stacks: StackReader, options: RuntimeOptions): Promise<Runtime> {
  try {
    return await startRuntime(options)
  } catch (error) {
    throw startError(error, name, stacks)
  }
}

function workersOf(
  settings: Settings,
  program: Program | undefined,
  names: FacadeNames,
): RuntimeOptions['workers'] {
  const { config, bindings, compatibility } = settings
  const stubs = unavailableStubs(bindings.unavailable)
  const source = sourceOf(program, { names, root: dirname(config.configPath ?? '.') })
  const worker = {
    name: config.name ?? 'worker',
    compatibilityDate: compatibility.date,
    compatibilityFlags: [...compatibility.flags],
    ...bindings.options,
    wrappedBindings: stubs.bindings,
  }
  return [{ ...worker, ...source }, ...stubs.workers]
}

function sourceOf(
  program: Program | undefined,
  { names, root }: { names: FacadeNames; root: string },
): MiniflareSource {
  // Paths, not only names: they are what a stack shows.
  const module = (
    type: MiniflareModuleSource['type'],
    name: string,
    contents: string | Uint8Array,
  ): MiniflareModuleSource => ({
    type,
    path: `${root}/${name}`,
    contents,
  })
  if (program === undefined)
    return { modules: [module('ESModule', FACADE_NAME, ASSETS_ONLY_MODULE)], modulesRoot: root }
  if (program.format === 'service-worker') return { script: program.code }
  return {
    modules: [
      module('ESModule', FACADE_NAME, facadeModule(program.name, names)),
      module('ESModule', program.name, program.code),
      ...program.modules.map(({ type, name, contents }) => module(type, name, contents)),
    ],
    modulesRoot: root,
  }
}

interface OutputOptions {
  readonly config: FunctionConfig
  readonly scope: FunctionScope
  readonly stacks: StackReader
  readonly logMark: string
}

/** What the program prints goes on with its frames mapped; what the facade tells becomes a report; workerd's own words are kept. */
function createOutput({ config, scope, stacks, logMark }: OutputOptions): {
  readonly line: (line: RuntimeLine) => void
  lastWords(): string | undefined
} {
  let lastWords: string | undefined
  const program = ({ level, text }: Extract<RuntimeLine, { kind: 'program' }>): void => {
    if (text.startsWith(logMark)) {
      const record = JSON.parse(text.slice(logMark.length)) as ThrownRecord
      scope.report(throwFault(record, { name: config.name, stacks }))
      return
    }
    const stream = level === 'warn' || level === 'error' ? 'stderr' : 'stdout'
    scope.output({ stream, level, text: stacks.map(text) })
  }
  return {
    line(line) {
      if (line.kind === 'program') program(line)
      if (line.kind === 'runtime' && line.level === 'fatal') lastWords = line.text
      if (line.kind === 'runtime' || line.kind === 'noise')
        scope.log.debug('workerd.line', { text: stacks.map(line.text) })
    },
    lastWords: () => lastWords,
  }
}
