import { errorMessage, FlexiError } from '../../../core/errors.ts'
import type { Invoked, Invoker, InvokeOptions } from '../service/service.ts'

/** What became of handing a batch over: it ran, well or not, or nothing could run it. */
export type BatchRun =
  | { readonly kind: 'ran'; readonly invoked: Invoked }
  | { readonly kind: 'stopping' }
  /** There is no room, or no such function: the same batch may be tried again, and that was no attempt. */
  | { readonly kind: 'refused'; readonly problem: string; readonly throttled: boolean }

/** Payload that one event may have; Lambda's limit for batches. */
export const EVENT_BYTES_MAX = 6 * 1024 * 1024

export interface Target {
  readonly invoker: Pick<Invoker, 'invoke'>
  /** Any reference that the invoker takes. */
  readonly function: string
}

/** Runs the function and tells failures apart; it never rejects. */
export async function runBatch(
  { invoker, function: reference }: Target,
  event: string,
  options: InvokeOptions = {},
): Promise<BatchRun> {
  try {
    return { kind: 'ran', invoked: await invoker.invoke(reference, Buffer.from(event), options) }
  } catch (error) {
    const code = error instanceof FlexiError ? error.code : undefined
    if (code === 'FLEXI_SHUTTING_DOWN') return { kind: 'stopping' }
    const throttled = code === 'FLEXI_THROTTLED' || code === 'FLEXI_QUEUE_FULL'
    return { kind: 'refused', problem: errorMessage(error), throttled }
  }
}
