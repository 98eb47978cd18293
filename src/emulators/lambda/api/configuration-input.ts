import { RUNTIME_RUNS } from '../runtime-names.ts'
import { invalidParameter } from './api-error.ts'
import type { Input } from './input.ts'
import type { Details, StoredConfig } from './state.ts'

const ROLE = /^arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role\/?[a-zA-Z_0-9+=,.@\-_/]+$/
const HANDLER = /^[^\s]{1,128}$/
/** Lambda's own bounds. */
const SECONDS = { min: 1, max: 900 }
const MEMORY_MB = { min: 128, max: 10_240 }
const STORAGE_MB = { min: 512, max: 10_240 }
const VARIABLES_BYTES_MAX = 4096

/** Members that are kept and shown, and change nothing here. */
const SHOWN = ['VpcConfig', 'FileSystemConfigs', 'ImageConfig', 'KMSKeyArn', 'Architectures'] as const

/** How layers that are named by their ARNs are found. */
export type FindLayers = (arns: readonly string[]) => {
  /** Folders or zip files. */
  readonly paths: readonly string[]
  /** As the API shows them. */
  readonly shown: readonly object[]
}

export interface ConfigurationChange {
  readonly config: StoredConfig
  readonly details: Details
}

/**
 * What a request says of a function's configuration, over what it has.
 * @throws ApiError ValidationException, InvalidParameterValueException.
 */
export function changedConfiguration(
  input: Input,
  { config, details }: ConfigurationChange,
  layersOf: FindLayers,
): ConfigurationChange {
  const runtime = input.text('Runtime')
  if (runtime !== undefined && !RUNTIME_RUNS.test(runtime))
    throw invalidParameter(`The runtime ${runtime} does not run here.`)
  const seconds = input.integer('Timeout', SECONDS)
  const layers = changedLayers(input, layersOf)
  const environment = variables(input)
  return {
    config: {
      environment: environment ?? config.environment,
      timeoutMs: seconds === undefined ? config.timeoutMs : seconds * 1000,
      memoryMb: input.integer('MemorySize', MEMORY_MB) ?? config.memoryMb,
      options: withoutUndefined({
        ...config.options,
        ...withoutUndefined({ runtime, handler: input.text('Handler', HANDLER) }),
        ...deadLetter(input),
        ...layers.options,
      }),
    },
    details: { ...details, ...detailsOf(input), ...shownVariables(environment), ...layers.details },
  }
}

/** Those that were told are shown, were there none of them. */
function shownVariables(told: Readonly<Record<string, string>> | undefined): Details {
  return told === undefined ? {} : { Environment: { Variables: told } }
}

/** An empty list takes them away. */
function changedLayers(
  input: Input,
  layersOf: FindLayers,
): { readonly options: Details; readonly details: Details } {
  if (!input.has('Layers')) return { options: {}, details: {} }
  const { paths, shown } = layersOf(input.texts('Layers') ?? [])
  const none = paths.length === 0
  return { options: { layers: none ? undefined : paths }, details: { Layers: none ? undefined : shown } }
}

/** What Lambda sets itself. The project's files may name them all the same. */
const RESERVED: ReadonlySet<string> = new Set([
  '_HANDLER',
  '_X_AMZN_TRACE_ID',
  'AWS_ACCESS_KEY',
  'AWS_ACCESS_KEY_ID',
  'AWS_DEFAULT_REGION',
  'AWS_EXECUTION_ENV',
  'AWS_LAMBDA_FUNCTION_MEMORY_SIZE',
  'AWS_LAMBDA_FUNCTION_NAME',
  'AWS_LAMBDA_FUNCTION_VERSION',
  'AWS_LAMBDA_INITIALIZATION_TYPE',
  'AWS_LAMBDA_LOG_GROUP_NAME',
  'AWS_LAMBDA_LOG_STREAM_NAME',
  'AWS_LAMBDA_RUNTIME_API',
  'AWS_REGION',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'LAMBDA_RUNTIME_DIR',
  'LAMBDA_TASK_ROOT',
])

function variables(input: Input): Readonly<Record<string, string>> | undefined {
  const found = input.child('Environment')
  if (found === undefined) return undefined
  const given = found.map('Variables') ?? {}
  const reserved = Object.keys(given).filter((name) => RESERVED.has(name))
  if (reserved.length > 0)
    throw invalidParameter(
      `Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: ${reserved.join(', ')}`,
    )
  for (const name of Object.keys(given)) {
    if (/^[a-zA-Z]\w+$/.test(name)) continue
    throw invalidParameter(
      `Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved or invalid keys: ${name}`,
    )
  }
  const bytes = Buffer.byteLength(JSON.stringify(given))
  if (bytes > VARIABLES_BYTES_MAX)
    throw invalidParameter(
      `Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: ${JSON.stringify(given)}`,
    )
  return given
}

/** An empty ARN takes it away. */
function deadLetter(input: Input): { readonly deadLetter?: string | undefined } {
  const given = input.child('DeadLetterConfig')
  if (given === undefined) return {}
  const arn = given.text('TargetArn') ?? ''
  return { deadLetter: arn === '' ? undefined : arn }
}

function detailsOf(input: Input): Details {
  const architectures = input.texts('Architectures')
  if (architectures?.some((name) => name !== 'x86_64' && name !== 'arm64') === true)
    throw invalidParameter('Architectures has x86_64 or arm64.')
  const storage = input.child('EphemeralStorage')?.integer('Size', STORAGE_MB)
  const mode = input.child('TracingConfig')?.choice('Mode', ['Active', 'PassThrough'])
  const logging = input.child('LoggingConfig')
  return withoutUndefined({
    Description: input.text('Description'),
    Role: input.text('Role', ROLE),
    EphemeralStorage: storage === undefined ? undefined : { Size: storage },
    TracingConfig: mode === undefined ? undefined : { Mode: mode },
    LoggingConfig: logging === undefined ? undefined : loggingOf(logging),
    SnapStart: snapStart(input),
    ...Object.fromEntries(SHOWN.map((name) => [name, input.raw(name)])),
  })
}

function loggingOf(logging: Input): object {
  return withoutUndefined({
    LogFormat: logging.choice('LogFormat', ['JSON', 'Text']),
    ApplicationLogLevel: logging.text('ApplicationLogLevel'),
    SystemLogLevel: logging.text('SystemLogLevel'),
    LogGroup: logging.text('LogGroup'),
  })
}

function snapStart(input: Input): object | undefined {
  const applies = input.child('SnapStart')?.choice('ApplyOn', ['PublishedVersions', 'None'])
  return applies === undefined ? undefined : { ApplyOn: applies, OptimizationStatus: 'Off' }
}

function withoutUndefined(record: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined))
}
