import { findSample, makeEvent, type JsonObject, type Sample } from '../core/event-sample.ts'
import { lambdaSamples } from '../emulators/lambda/events/index.ts'
import { workersSamples } from '../emulators/workers/events/index.ts'

type ProviderSample = Sample & { readonly provider: string }

/** The sample events of every provider that has some. A file of its own: `flexi events` needs nothing else of the application. */
const SAMPLES: readonly ProviderSample[] = [
  ...lambdaSamples.map((sample) => ({ provider: 'lambda', ...sample })),
  ...workersSamples.map((sample) => ({ provider: 'workers', ...sample })),
]

export interface EventSource {
  readonly source: string
  /** Whose functions take it. */
  readonly provider: string
  readonly description: string
}

/** Every source there is a sample of. */
export function listEvents(): readonly EventSource[] {
  return SAMPLES.map(({ source, provider, description }) => ({ source, provider, description }))
}

/** `makeEvent` of all of them. @throws FlexiError FLEXI_NO_INPUT, FLEXI_USAGE. */
export function sampleEvent(source: string, overrides: Readonly<Record<string, string>> = {}): JsonObject {
  return makeEvent(SAMPLES, source, overrides)
}

/** What the source is called in full, and whose it is. @throws FlexiError FLEXI_NO_INPUT. */
export function eventSource(source: string): EventSource {
  const { provider, description, source: full } = findSample(SAMPLES, source)
  return { source: full, provider, description }
}
