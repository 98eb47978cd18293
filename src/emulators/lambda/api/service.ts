import { randomUUID } from 'node:crypto'

import type { ApiFunction, InvokeContext } from '../../../core/function.ts'
import type { AsyncEvent, EventSettings } from '../async/async-event.ts'
import { VERSION } from '../definition.ts'
import { DEFAULT_TIMEOUT_MS } from '../limits.ts'
import { settingsOf } from '../service/function-settings.ts'
import type { Invoked, InvokeOptions, Invoker } from '../service/service.ts'
import { ApiError } from './api-error.ts'
import type { Deployments } from './deployments.ts'
import type { FoundFunction } from './functions.ts'
import { invoked } from './invocation.ts'

/** The version that a call has come to. */
export interface Running {
  readonly found: FoundFunction
  readonly served: ApiFunction
  /** `$LATEST` or a number. */
  readonly version: string
}

/** Takes events that nobody waits for. */
export interface EventTaker {
  add(event: AsyncEvent): Promise<void>
}

/** Runs functions for whoever is inside: event sources, brokers, destinations. */
export class Service implements Invoker {
  readonly #deployments: Deployments
  readonly #events: EventTaker

  constructor(deployments: Deployments, events: EventTaker) {
    this.#deployments = deployments
    this.#events = events
  }

  async invoke(reference: string, payload: Uint8Array, options: InvokeOptions = {}): Promise<Invoked> {
    const { functions } = this.#deployments
    const running = await runningOf(this.#deployments, functions.find(reference, undefined, VERSION))
    const { found, served, version } = running
    const { id = randomUUID(), trace, signal = NEVER } = options
    const context: InvokeContext = {
      id,
      signal,
      trace,
      deadline: Date.now() + (served.config.timeoutMs ?? DEFAULT_TIMEOUT_MS),
      qualifier: found.qualifier,
      unlogged: true,
    }
    const { payload: answer, functionError } = await invoked(served, payload, context)
    const functionArn = `${functions.arn(found.served)}:${version}`
    return { payload: answer, functionError, executedVersion: version, functionArn }
  }

  async invokeEvent(reference: string, payload: Uint8Array, options: InvokeOptions = {}): Promise<void> {
    const { name, qualifier } = this.#deployments.functions.find(reference, undefined, VERSION)
    const { id = randomUUID(), trace } = options
    await this.#events.add({ id, function: name, qualifier, payload, trace })
  }
}

const NEVER = new AbortController().signal

/** An alias may come to another version each time. */
export async function runningOf(deployments: Deployments, found: FoundFunction): Promise<Running> {
  const version = deployments.functions.versionOf(found)
  const runs = deployments.runs(found, version)
  return { found, version, served: runs instanceof Promise ? await runs : runs }
}

/**
 * What counts for a function's events: what the API was told for just this version or alias, else what the files say of the function.
 * Undefined while it is not there.
 */
export function eventSettings(deployments: Deployments, reference: string): EventSettings | undefined {
  const { functions } = deployments
  const found = foundOrNothing(() => functions.find(reference))
  if (found === undefined) return undefined
  const { name, qualifier = VERSION, served } = found
  const kept = functions.kept(name).eventInvoke[qualifier]
  const { deadLetter, ...settings } = settingsOf(served.config)
  const { maximumRetryAttempts, maximumEventAge, onSuccess, onFailure } = kept ?? settings
  return {
    maximumRetryAttempts,
    maximumEventAge,
    onSuccess,
    onFailure,
    deadLetter,
    reservedConcurrency: deployments.reservedOf(found),
    functionArn: `${functions.arn(served)}:${qualifier}`,
  }
}

function foundOrNothing<T>(find: () => T): T | undefined {
  try {
    return find()
  } catch (error) {
    if (error instanceof ApiError) return undefined
    throw error
  }
}
