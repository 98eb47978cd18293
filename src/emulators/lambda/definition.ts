import type { FunctionScope } from '../../core/function.ts'
import type { AbsolutePath, Place } from '../../core/place.ts'
import type { LambdaOptions } from './options.ts'

/** A function as Lambda knows it: everything but its code. */
export interface Definition {
  readonly name: string
  readonly options: LambdaOptions
  /** The code folder: LAMBDA_TASK_ROOT and the working directory. */
  readonly taskRoot: AbsolutePath
  readonly origin: Place
  readonly environment: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly memoryMb: number
  readonly scope: FunctionScope
}

export const VERSION = '$LATEST'
export const ACCOUNT_ID = '123456789012'

export function region(environment: Readonly<Record<string, string | undefined>>): string {
  return environment['AWS_REGION'] ?? environment['AWS_DEFAULT_REGION'] ?? 'us-east-1'
}

export function functionArn(name: string, inRegion: string): string {
  return `arn:aws:lambda:${inRegion}:${ACCOUNT_ID}:function:${name}`
}
