import { FlexiError } from '../../../core/errors.ts'
import { closest } from '../../../core/suggest.ts'
import { brokerSamples } from './brokers.ts'
import { cognitoSamples } from './cognito.ts'
import { gatewaySamples } from './gateway.ts'
import { httpSamples } from './http.ts'
import { messageSamples } from './messages.ts'
import { setPath, type JsonObject, type Sample } from './sample.ts'
import { serviceSamples } from './services.ts'
import { streamSamples } from './streams.ts'
import { variantSamples } from './variants.ts'

const SAMPLES: readonly Sample[] = [
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
  return SAMPLES.map(({ source, description }) => ({ source, description }))
}

/**
 * An event as its source would send it, with values of our own. `aws:sqs` may be called `sqs`.
 * Overrides name a place by its path (`Records.0.body`) or by the short name that the sample has for it (`body`).
 * @throws FlexiError FLEXI_NO_INPUT for an unknown source, FLEXI_USAGE for a place that the event does not have.
 */
export function sampleEvent(source: string, overrides: Readonly<Record<string, string>> = {}): JsonObject {
  const sample = SAMPLES.find((one) => one.source === source || one.source === `aws:${source}`)
  if (sample === undefined) throw unknownSource(source)
  const event = sample.make(new Date())
  for (const [name, value] of Object.entries(overrides)) {
    if (!override({ sample, event, name, value })) throw unknownPlace(sample, event, name)
  }
  sample.settle?.(event)
  return event
}

interface Override {
  readonly sample: Sample
  readonly event: JsonObject
  readonly name: string
  readonly value: string
}

function override({ sample, event, name, value }: Override): boolean {
  const short = sample.short?.[name]
  if (short === undefined) return setPath(event, name, value)
  return setPath(event, short.path, short.encode === undefined ? value : short.encode(value))
}

function unknownPlace(sample: Sample, event: JsonObject, name: string): FlexiError {
  const names = [...new Set([...Object.keys(sample.short ?? {}), ...Object.keys(event)])]
  return new FlexiError('FLEXI_USAGE', `an event of ${sample.source} has no ${name}`, {
    hint: `It has ${names.join(', ')}, and places below them by their path, such as Records.0.body.`,
  })
}

function unknownSource(source: string): FlexiError {
  const names = SAMPLES.map((sample) => sample.source)
  const near = closest(source, names) ?? closest(`aws:${source}`, names)
  return new FlexiError('FLEXI_NO_INPUT', `there is no sample event of ${source}`, {
    hint: near === undefined ? `There are: ${names.join(', ')}.` : `Did you mean ${near}?`,
  })
}
