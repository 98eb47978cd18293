import type { FunctionScope } from '../../core/function.ts'
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

export function region(environment: Readonly<Record<string, string | undefined>>): string {
  return environment['AWS_REGION'] ?? environment['AWS_DEFAULT_REGION'] ?? 'us-east-1'
}

/** As the function sees it where its caller named no version or alias. */
export function ownArn({ functionName, version, environment }: Definition): string {
  const arn = functionArn(functionName, region({ ...process.env, ...environment }))
  return version === VERSION ? arn : `${arn}:${version}`
}

/** With the version or alias that a caller named; undefined where it named none. */
export function arnAsked(
  { functionName, environment }: Definition,
  qualifier: string | undefined,
): string | undefined {
  if (qualifier === undefined) return undefined
  return `${functionArn(functionName, region({ ...process.env, ...environment }))}:${qualifier}`
}

export function functionArn(name: string, inRegion: string): string {
  return `arn:aws:lambda:${inRegion}:${ACCOUNT_ID}:function:${name}`
}
