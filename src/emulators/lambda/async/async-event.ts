import type { FunctionSettings } from '../service/function-settings.ts'
import type { Invoked } from '../service/service.ts'
import type { Codec } from './journal.ts'

/** An event that nobody waits for. */
export interface AsyncEvent {
  /** Of the request; every attempt has it. */
  readonly id: string
  /** As AWS calls the function, without qualifier. */
  readonly function: string
  /** Version or alias, as the caller named it. */
  readonly qualifier?: string | undefined
  /** JSON, or nothing. */
  readonly payload: Uint8Array
  /** X-Ray's header. */
  readonly trace?: string | undefined
}

/** What a function, or one version or alias of it, says of its events. */
export interface EventSettings extends Pick<
  FunctionSettings,
  | 'maximumRetryAttempts'
  | 'maximumEventAge'
  | 'deadLetter'
  | 'onSuccess'
  | 'onFailure'
  | 'reservedConcurrency'
> {
  /** With its qualifier, `$LATEST` where the caller named none. */
  readonly functionArn: string
}

/** Of who says nothing: further attempts, and seconds. */
export const EVENT_DEFAULTS = { maximumRetryAttempts: 2, maximumEventAge: 21_600 } as const

/** Why nothing more becomes of an event, in Lambda's words. */
export type Condition = 'Success' | 'RetriesExhausted' | 'EventAgeExceeded' | 'ZeroReservedConcurrency'

/** The end of an event. */
export interface Outcome {
  readonly event: AsyncEvent
  readonly condition: Condition
  readonly attempts: number
  /** Of the last attempt; undefined when it never ran, or not since flexi started. */
  readonly invoked: Pick<Invoked, 'payload' | 'functionError' | 'executedVersion'> | undefined
}

/** `hello`, `hello:3` */
export function referenceOf({ function: name, qualifier }: AsyncEvent): string {
  return qualifier === undefined ? name : `${name}:${qualifier}`
}

/** In ms since the epoch. */
export type KeptEvent = AsyncEvent & { readonly receivedAt: number }

/** As the journal has it. */
export const eventCodec: Codec<KeptEvent> = {
  write: ({ payload, ...event }) => ({ ...event, payload: textOf(payload) }),
  read(json) {
    if (typeof json !== 'object' || json === null) return undefined
    const { id, function: name, qualifier, payload, trace, receivedAt } = json as Record<string, unknown>
    if (typeof id !== 'string' || typeof name !== 'string' || typeof payload !== 'string') return undefined
    return {
      id,
      function: name,
      qualifier: textOrNone(qualifier),
      payload: Buffer.from(payload),
      trace: textOrNone(trace),
      receivedAt: typeof receivedAt === 'number' ? receivedAt : 0,
    }
  },
}

/** What the journal knows of attempts that failed. */
export interface Progress {
  readonly attempts: number
  /** In ms since the epoch. */
  readonly notBefore: number
}

export function progressOf(note: unknown): Progress {
  const { attempts, notBefore } = typeof note === 'object' && note !== null ? (note as Partial<Progress>) : {}
  return {
    attempts: typeof attempts === 'number' ? attempts : 0,
    notBefore: typeof notBefore === 'number' ? notBefore : 0,
  }
}

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}

function textOrNone(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
