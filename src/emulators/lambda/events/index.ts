import { makeEvent } from '../../../core/event-sample.ts'
import { brokerSamples } from './brokers.ts'
import { cognitoSamples } from './cognito.ts'
import { gatewaySamples } from './gateway.ts'
import { httpSamples } from './http.ts'
import { messageSamples } from './messages.ts'
import type { JsonObject, Sample } from './sample.ts'
import { serviceSamples } from './services.ts'
import { streamSamples } from './streams.ts'
import { variantSamples } from './variants.ts'

/** Every source of AWS that there is a sample of. */
export const lambdaSamples: readonly Sample[] = [
  ...httpSamples,
  ...gatewaySamples,
  ...messageSamples,
  ...streamSamples,
  ...brokerSamples,
  ...cognitoSamples,
  ...serviceSamples,
  ...variantSamples,
]

/** Every source there is a sample of. */
export function listEvents(): readonly { readonly source: string; readonly description: string }[] {
  return lambdaSamples.map(({ source, description }) => ({ source, description }))
}

/** `makeEvent` of these. */
export function sampleEvent(source: string, overrides: Readonly<Record<string, string>> = {}): JsonObject {
  return makeEvent(lambdaSamples, source, overrides)
}
