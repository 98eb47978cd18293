import type { FunctionConfig, FunctionScope } from '../../core/function.ts'
import type { AbsolutePath, Place } from '../../core/place.ts'
import type { Opt } from './layers/opt.ts'
import type { LambdaOptions } from './options.ts'

/** A function as Lambda knows it: everything but its code. */
export interface Definition {
  /** In the project; a published version's ends in `:3`. */
  readonly name: string
  /** As AWS calls it. */
  readonly functionName: string
  /** `$LATEST` or a number. */
  readonly version: string
  readonly options: LambdaOptions
  /** The code folder: LAMBDA_TASK_ROOT and the working directory. */
  readonly taskRoot: AbsolutePath
  readonly origin: Place
  readonly environment: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly memoryMb: number
  /** Environments that are started ahead; undefined where none are. */
  readonly provisioned?: number | undefined
  /** What its layers brought, for one that has any. */
  readonly opt?: Opt | undefined
  readonly scope: FunctionScope
}

export const VERSION = '$LATEST'
export const ACCOUNT_ID = '123456789012'

export function region(environment: Variables): string {
  return firstSet(environment, REGIONS) ?? 'us-east-1'
}

const REGIONS = ['AWS_REGION', 'AWS_DEFAULT_REGION'] as const

/** An empty variable is none: clients look on, and would ask AWS. */
export function firstSet(
  environment: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
): string | undefined {
  const name = names.find((one) => (environment[one] ?? '') !== '')
  return name === undefined ? undefined : environment[name]
}

/** Where a project's queues, topics and buses are: where its files deploy functions to, else where the server says. */
export function projectRegion(
  functions: readonly { readonly config: Pick<FunctionConfig, 'environment' | 'options'> }[],
  outside: Variables,
): string {
  const said = functions.find(({ config }) => config.options['region'] !== undefined)
  return said === undefined ? region(outside) : functionRegion(said.config, outside)
}

/** Its own variables count, then the file that deploys it, then the server's. */
export function functionRegion(
  { environment, options }: { readonly environment: Variables; readonly options: object },
  outside: Variables,
): string {
  const said = 'region' in options && typeof options.region === 'string' ? { AWS_REGION: options.region } : {}
  return region({ ...outside, ...said, ...environment })
}

type Variables = Readonly<Record<string, string | undefined>>

/** As the function sees it where its caller named no version or alias. */
export function ownArn(definition: Definition): string {
  const { functionName, version } = definition
  const arn = functionArn(functionName, functionRegion(definition, process.env))
  return version === VERSION ? arn : `${arn}:${version}`
}

/** With the version or alias that a caller named; undefined where it named none. */
export function arnAsked(definition: Definition, qualifier: string | undefined): string | undefined {
  if (qualifier === undefined) return undefined
  return `${functionArn(definition.functionName, functionRegion(definition, process.env))}:${qualifier}`
}

export function functionArn(name: string, inRegion: string): string {
  return `arn:aws:lambda:${inRegion}:${ACCOUNT_ID}:function:${name}`
}
