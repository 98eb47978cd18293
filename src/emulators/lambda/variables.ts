import { randomBytes } from 'node:crypto'

import { PATH_INSIDE } from '../../core/confinement.ts'
import { firstSet, functionRegion, type Definition } from './definition.ts'
import { withOpt } from './layers/opt-variables.ts'
import { localQueueUrls } from './queue-urls.ts'

export interface VariableOptions {
  readonly definition: Definition
  /** `nodejs20.x`, `python3.12`, `provided.al2023`. */
  readonly runtime: string
  /** The server's own environment: a few names are taken from it, the rest stays out. */
  readonly host: Readonly<Record<string, string | undefined>>
}

/** Credentials of the person at the keyboard reach the function as a role's would; without any, a client still signs. */
const CREDENTIALS = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const

/** The environment of a function, in Lambda's order of precedence. What the function's own variables may not change comes last. */
export function functionVariables({ definition, runtime, host }: VariableOptions): Record<string, string> {
  const { functionName, version, taskRoot, memoryMb, options } = definition
  // What is kept apart sees other folders than we do.
  const paths = definition.scope.confinement === undefined ? host : {}
  const inRegion = functionRegion(definition, host)
  const variables = {
    TZ: ':UTC',
    LANG: 'en_US.UTF-8',
    PATH: paths['PATH'] ?? PATH_INSIDE,
    LD_LIBRARY_PATH: [paths['LD_LIBRARY_PATH'], taskRoot, `${taskRoot}/lib`]
      .filter((path) => path !== undefined)
      .join(':'),
    AWS_REGION: inRegion,
    AWS_DEFAULT_REGION: inRegion,
    AWS_XRAY_CONTEXT_MISSING: 'LOG_ERROR',
    AWS_XRAY_DAEMON_ADDRESS: '127.0.0.1:2000',
    FLEXI: '1',
    ...runtimeVariables(runtime, taskRoot),
    ...credentials(definition.scope.passCredentials === true ? host : {}),
    ...definition.environment,
    ...localWrapper(definition),
    PWD: taskRoot,
    _HANDLER: options.handler,
    LAMBDA_TASK_ROOT: taskRoot,
    AWS_LAMBDA_FUNCTION_NAME: functionName,
    AWS_LAMBDA_FUNCTION_VERSION: version,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMb),
    AWS_LAMBDA_INITIALIZATION_TYPE:
      definition.provisioned === undefined ? 'on-demand' : 'provisioned-concurrency',
    AWS_LAMBDA_LOG_GROUP_NAME: logGroup(functionName),
    _AWS_XRAY_DAEMON_ADDRESS: '127.0.0.1',
    _AWS_XRAY_DAEMON_PORT: '2000',
  }
  return withOpt(definition.opt, variables, { runtime, own: definition.environment })
}

/** In the cloud a function's code lies in `/var/task`. */
function localWrapper({ environment, taskRoot }: Definition): { readonly AWS_LAMBDA_EXEC_WRAPPER?: string } {
  const wrapper = environment['AWS_LAMBDA_EXEC_WRAPPER']
  if (wrapper?.startsWith('/var/task/') !== true) return {}
  return { AWS_LAMBDA_EXEC_WRAPPER: `${taskRoot}${wrapper.slice('/var/task'.length)}` }
}

/** What each environment has of its own, and what is known only once the server listens. */
export function environmentVariables(definition: Definition): {
  readonly logStream: string
  readonly variables: Record<string, string>
} {
  const { control } = definition.scope.endpoints()
  const stream = logStream(definition.version)
  return {
    logStream: stream,
    variables: {
      AWS_LAMBDA_LOG_STREAM_NAME: stream,
      ...(control === undefined ? {} : endpoints(definition.environment, `${control}/aws`)),
      ...localQueueUrls(
        definition.environment,
        firstSet(process.env, ['AWS_ENDPOINT_URL_SQS']) ?? ownQueues(control),
      ),
    },
  }
}

function ownQueues(control: string | undefined): string | undefined {
  return control === undefined ? undefined : `${control}/aws`
}

/** Services that answer here. The function's own word counts, then the server's: it may name the real ones, or others that emulate them. */
function endpoints(own: Readonly<Record<string, string>>, ours: string): Readonly<Record<string, string>> {
  const entries = SERVICES.flatMap((service) => {
    const name = `AWS_ENDPOINT_URL_${service}`
    const covered = own['AWS_ENDPOINT_URL'] !== undefined && !ONLY_HERE.has(service)
    return own[name] !== undefined || covered ? [] : [[name, firstSet(process.env, [name]) ?? ours] as const]
  })
  return Object.fromEntries(entries)
}

const SERVICES = ['LAMBDA', 'SQS', 'SNS', 'EVENTBRIDGE', 'APIGATEWAYMANAGEMENTAPI'] as const
/** What one endpoint for every service cannot know of: the functions of this project, and their connections. */
const ONLY_HERE: ReadonlySet<string> = new Set(['LAMBDA', 'APIGATEWAYMANAGEMENTAPI'])

export function logGroup(name: string): string {
  return `/aws/lambda/${name}`
}

/** `2026/11/21/[$LATEST]<32 hex>` */
function logStream(version: string): string {
  return `${new Date().toISOString().slice(0, 10).replaceAll('-', '/')}/[${version}]${randomBytes(16).toString('hex')}`
}

function credentials(host: VariableOptions['host']): Record<string, string> {
  const found = CREDENTIALS.flatMap((name) => {
    const value = firstSet(host, [name])
    return value === undefined ? [] : [[name, value] as const]
  })
  if (found.length > 0) return Object.fromEntries(found)
  // Keys would win over a profile, so a profile goes alone.
  const profile = firstSet(host, ['AWS_PROFILE'])
  if (profile !== undefined)
    return { AWS_PROFILE: profile, ...(host['HOME'] === undefined ? {} : { HOME: host['HOME'] }) }
  return { AWS_ACCESS_KEY_ID: 'flexi', AWS_SECRET_ACCESS_KEY: 'flexi', AWS_SESSION_TOKEN: 'flexi' }
}

function runtimeVariables(runtime: string, taskRoot: string): Record<string, string> {
  if (runtime.startsWith('provided')) return {}
  const execution = { AWS_EXECUTION_ENV: `AWS_Lambda_${runtime}` }
  return runtime.startsWith('nodejs')
    ? { ...execution, NODE_PATH: `${taskRoot}/node_modules:${taskRoot}` }
    : execution
}
