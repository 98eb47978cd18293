import { randomBytes } from 'node:crypto'

import { region, VERSION, type Definition } from './definition.ts'

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
  const { name, taskRoot, memoryMb, options } = definition
  const inRegion = region({ ...host, ...definition.environment })
  return {
    TZ: ':UTC',
    LANG: 'en_US.UTF-8',
    PATH: host['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    LD_LIBRARY_PATH: [host['LD_LIBRARY_PATH'], taskRoot, `${taskRoot}/lib`]
      .filter((path) => path !== undefined)
      .join(':'),
    AWS_REGION: inRegion,
    AWS_DEFAULT_REGION: inRegion,
    AWS_XRAY_CONTEXT_MISSING: 'LOG_ERROR',
    AWS_XRAY_DAEMON_ADDRESS: '127.0.0.1:2000',
    FLEXI: '1',
    ...runtimeVariables(runtime, taskRoot),
    ...credentials(host),
    ...definition.environment,
    PWD: taskRoot,
    _HANDLER: options.handler,
    LAMBDA_TASK_ROOT: taskRoot,
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_VERSION: VERSION,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMb),
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    AWS_LAMBDA_LOG_GROUP_NAME: logGroup(name),
    _AWS_XRAY_DAEMON_ADDRESS: '127.0.0.1',
    _AWS_XRAY_DAEMON_PORT: '2000',
  }
}

/** What each environment has of its own, and what is known only once the server listens. */
export function environmentVariables(definition: Definition): {
  readonly logStream: string
  readonly variables: Record<string, string>
} {
  const { control } = definition.scope.endpoints()
  const stream = logStream()
  return {
    logStream: stream,
    variables: {
      AWS_LAMBDA_LOG_STREAM_NAME: stream,
      ...(control === undefined || definition.environment['AWS_ENDPOINT_URL_LAMBDA'] !== undefined
        ? {}
        : { AWS_ENDPOINT_URL_LAMBDA: `${control}/aws` }),
    },
  }
}

export function logGroup(name: string): string {
  return `/aws/lambda/${name}`
}

/** `2026/11/21/[$LATEST]<32 hex>` */
function logStream(): string {
  return `${new Date().toISOString().slice(0, 10).replaceAll('-', '/')}/[${VERSION}]${randomBytes(16).toString('hex')}`
}

function credentials(host: VariableOptions['host']): Record<string, string> {
  const found = CREDENTIALS.flatMap((name) => (host[name] === undefined ? [] : [[name, host[name]] as const]))
  if (found.length > 0) return Object.fromEntries(found)
  // Keys would win over a profile, so a profile goes alone.
  if (host['AWS_PROFILE'] !== undefined)
    return { AWS_PROFILE: host['AWS_PROFILE'], ...(host['HOME'] === undefined ? {} : { HOME: host['HOME'] }) }
  return { AWS_ACCESS_KEY_ID: 'flexi', AWS_SECRET_ACCESS_KEY: 'flexi', AWS_SESSION_TOKEN: 'flexi' }
}

function runtimeVariables(runtime: string, taskRoot: string): Record<string, string> {
  if (runtime.startsWith('provided')) return {}
  const execution = { AWS_EXECUTION_ENV: `AWS_Lambda_${runtime}` }
  return runtime.startsWith('nodejs')
    ? { ...execution, NODE_PATH: `${taskRoot}/node_modules:${taskRoot}` }
    : execution
}
