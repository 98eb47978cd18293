import type { FunctionConfig } from '../../../core/function.ts'
import type { EventSource } from './event-source.ts'

/** Options of a function that its code knows nothing of. `parseOptions` has validated them. */
export interface FunctionSettings {
  /** How AWS calls it, where that is not its name in the project: ARN, log group and AWS_LAMBDA_FUNCTION_NAME have it. */
  readonly functionName?: string | undefined
  /** A published version's number. Undefined is `$LATEST`. Only the API sets it. */
  readonly version?: string | undefined
  /** Published at start, with an alias of this name (`AutoPublishAlias`). */
  readonly alias?: string | undefined
  /** Invocations at once; one more is 429. 0 refuses all. */
  readonly reservedConcurrency?: number | undefined
  /** Environments that are started ahead. */
  readonly provisionedConcurrency?: number | undefined
  /** 0, 1 or 2; default 2. */
  readonly maximumRetryAttempts?: number | undefined
  /** Seconds, 60 to 21,600; default 21,600. */
  readonly maximumEventAge?: number | undefined
  /** ARN of a queue or a topic. */
  readonly deadLetter?: string | undefined
  /** ARNs of a queue, topic, bus, function or bucket. */
  readonly onSuccess?: string | undefined
  readonly onFailure?: string | undefined
  /** Folders or zip files, relative to the function's folder; the later ones count more. At most five. */
  readonly layers?: readonly string[] | undefined
  readonly sources?: readonly EventSource[] | undefined
}

export function settingsOf({ options }: Pick<FunctionConfig, 'options'>): FunctionSettings {
  return options
}

/** As AWS calls it. */
export function awsNameOf(config: Pick<FunctionConfig, 'name' | 'options'>): string {
  return settingsOf(config).functionName ?? config.name
}
