import type { ApiCall } from './api-call.ts'
import { queried } from './api-call.ts'
import type { Configurations } from './configuration.ts'
import type { Deployments } from './deployments.ts'
import type { FoundFunction } from './functions.ts'
import type { Input } from './input.ts'
import type { OperationName } from './operations.ts'

/** What operations work on. */
export interface ApiParts {
  readonly deployments: Deployments
  readonly configurations: Configurations
  /** ms since the epoch. */
  readonly now: () => number
}

/** Only tells; gives the JSON of its answer. */
type Query = (call: ApiCall) => unknown
/** Changes something, one after the other; gives the JSON of its answer. */
type Change = (call: ApiCall, input: Input) => unknown

export type Queries = Partial<Record<OperationName, Query>>
export type Changes = Partial<Record<OperationName, Change>>

/** What `{name}` of the path and `?Qualifier=` mean. @throws ApiError ResourceNotFoundException. */
export function foundIn({ deployments }: ApiParts, call: ApiCall): FoundFunction {
  return deployments.functions.find(call.parameters[0] ?? '', queried(call, 'Qualifier'))
}

/** The ARN with the qualifier that the caller named. */
export function qualifiedArn({ deployments }: ApiParts, { served, qualifier }: FoundFunction): string {
  const arn = deployments.functions.arn(served)
  return qualifier === undefined ? arn : `${arn}:${qualifier}`
}
