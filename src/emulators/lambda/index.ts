import { stat } from 'node:fs/promises'
import { extname, resolve } from 'node:path'

import type { Emulator, FunctionConfig, FunctionScope, FunctionSource } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { VERSION, type Definition } from './definition.ts'
import { detectFunctions } from './detect/detect.ts'
import { noRoute } from './front-ends/no-route.ts'
import { placeGuards } from './front-ends/place-guard.ts'
import { findHandlerFile } from './handler-file.ts'
import { DEFAULT_MEMORY_MB, DEFAULT_TIMEOUT_MS } from './limits.ts'
import { parseOptions, type LambdaOptions } from './options.ts'
import { awsNameOf, settingsOf } from './service/function-settings.ts'
import { withShipping } from './shipped.ts'

/** AWS Lambda: Node handlers in a host of ours, Python and custom runtimes through the Runtime API. */
export const lambda: Emulator = {
  name: 'lambda',
  api: {
    mount: 'aws',
    wanted: async (host) => (await import('./api/wanted.ts')).isApiWanted(host),
    open: async (host) => (await import('./api/lambda-api.ts')).openLambdaApi(host),
  },
  detect: detectFunctions,
  recognise,
  openGuards: placeGuards,
  noRoute,
  schedules: async () => (await import('./sources/schedules/function-schedules.ts')).lambdaSchedules,
  open,
}

const HANDLER_EXTENSIONS = new Set(['.ts', '.mts', '.cts', '.tsx', '.jsx', '.js', '.mjs', '.cjs', '.py'])

/** `./file.ts` is a file that is there; `src/file.handler` an export of one. */
async function recognise(
  target: string,
  directory: string,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (/\s|^\w+:\/\//.test(target) || target.includes('..')) return undefined
  const handler = target.replace(/^\.\//, '')
  if (HANDLER_EXTENSIONS.has(extname(handler))) {
    const found = await stat(resolve(directory, handler)).catch(() => undefined)
    return found?.isFile() === true ? { handler } : undefined
  }
  if (!/[^/]\.\w/.test(handler)) return undefined
  return (findHandlerFile(handler, directory) ?? findHandlerFile(handler, directory, true)) === undefined
    ? undefined
    : { handler }
}

/** @throws FlexiError FLEXI_CONFIG with a fault for each option that cannot be. */
async function open(config: FunctionConfig, scope: FunctionScope): Promise<FunctionSource> {
  const options = await parseOptions(config)
  if (scope.confinement !== undefined) (await import('./confined.ts')).requireOwnFiles(config)
  const definition: Definition = {
    name: config.name,
    functionName: awsNameOf(config),
    version: settingsOf(config).version ?? VERSION,
    options,
    taskRoot: await codeFolder(config, options, scope),
    origin: config.origin,
    environment: config.environment,
    timeoutMs: config.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    memoryMb: config.memoryMb ?? DEFAULT_MEMORY_MB,
    provisioned: settingsOf(config).provisionedConcurrency,
    scope,
  }
  const source = withShipping(await openSource(config, definition), config, {
    runsOnNode: runsOnNode(definition),
    taskRoot: definition.taskRoot,
  })
  if (options.archive === undefined) return source
  return (await import('./archive-code.ts')).holdArchive(source, definition.taskRoot)
}

async function openSource(config: FunctionConfig, definition: Definition): Promise<FunctionSource> {
  const opener = await sourceOpener(definition)
  if (settingsOf(config).layers === undefined) return opener(definition)
  const { openLayered } = await import('./layers/layered-source.ts')
  return openLayered(config, definition, opener)
}

async function sourceOpener(definition: Definition): Promise<(definition: Definition) => FunctionSource> {
  if (runsOnNode(definition)) {
    const { NodeSource } = await import('./node-source.ts')
    return (complete) => new NodeSource(complete)
  }
  const { RuntimeSource } = await import('./runtime-source.ts')
  return (complete) => new RuntimeSource(complete)
}

async function codeFolder(
  config: FunctionConfig,
  { inlineCode, archive, runtime }: LambdaOptions,
  { stateDirectory }: FunctionScope,
): Promise<AbsolutePath> {
  const { name, directory } = config
  if (archive !== undefined)
    return (await import('./archive-code.ts')).unpackArchive(config, archive, stateDirectory)
  if (inlineCode === undefined) return directory
  const { writeInlineCode } = await import('./inline-code.ts')
  return writeInlineCode({ name, code: inlineCode, runtime, stateDirectory })
}

/** The runtime decides; without one the handler's file does. */
function runsOnNode({ options, taskRoot }: Definition): boolean {
  if (options.runtime !== undefined) return options.runtime.startsWith('nodejs')
  if (extname(options.handler) === '.py') return false
  return (
    findHandlerFile(options.handler, taskRoot) !== undefined ||
    findHandlerFile(options.handler, taskRoot, true) === undefined
  )
}
