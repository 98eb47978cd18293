import { FlexiError } from './errors.ts'
import { closest } from './suggest.ts'

export type Json = string | number | boolean | null | Json[] | JsonObject
export interface JsonObject {
  [name: string]: Json
}

/** One kind of event that a source of a provider sends. */
export interface Sample {
  /** `aws:sqs`, `workers:cron`; what is before the `:` may be left out where people write it. */
  readonly source: string
  readonly description: string
  /** A fresh event of that moment. */
  make(now: Date): JsonObject
  /** Corrects what follows from other values, after they were replaced. */
  settle?(event: JsonObject): void
  /** Places that people change, by a short name. */
  readonly short?: Readonly<Record<string, { readonly path: string; encode?(value: string): string }>>
}

/** Replaces a value in place; a text keeps being one, anything else is read as JSON when it is some. False when there is no such place. */
export function setPath(target: JsonObject, path: string, value: string): boolean {
  const names = path.split('.')
  const last = names.pop() ?? ''
  const parent = names.length === 0 ? target : getPath(target, names.join('.'))
  return (
    typeof parent === 'object' &&
    parent !== null &&
    setChild(parent, { last, value, grows: names.length > 0 })
  )
}

function setChild(
  parent: Json[] | JsonObject,
  { last, value, grows }: { last: string; value: string; grows: boolean },
): boolean {
  const before = child(parent, last)
  const replacement = typeof before === 'string' || before === undefined ? value : asJson(value)
  if (Array.isArray(parent)) {
    if (before !== undefined) parent[Number(last)] = replacement
    return before !== undefined
  }
  // Only maps of free names (headers, attributes) may grow.
  const fits = before !== undefined || grows
  if (fits) parent[last] = replacement
  return fits
}

/** The text that is there, or none. */
export function textAt(target: JsonObject, path: string): string {
  const found = getPath(target, path)
  return typeof found === 'string' ? found : ''
}

/** A value that follows from another one, unless it was replaced itself. */
export function follow(
  event: JsonObject,
  path: string,
  { sampled, value }: { readonly sampled: string; readonly value: Json | undefined },
): void {
  if (typeof value === 'string' && getPath(event, path) === sampled) setPath(event, path, value)
}

export function getPath(target: JsonObject, path: string): Json | undefined {
  return path.split('.').reduce<Json | undefined>((found, name) => child(found, name), target)
}

function child(value: Json | undefined, name: string): Json | undefined {
  if (Array.isArray(value)) return /^\d+$/.test(name) ? value[Number(name)] : undefined
  if (typeof value !== 'object' || value === null) return undefined
  return Object.hasOwn(value, name) ? value[name] : undefined
}

function asJson(value: string): Json {
  try {
    return JSON.parse(value) as Json
  } catch {
    return value
  }
}

/**
 * An event as its source would send it, with values of our own. `aws:sqs` may be called `sqs`.
 * Overrides name a place by its path (`Records.0.body`) or by the short name that the sample has for it (`body`).
 * @throws FlexiError FLEXI_NO_INPUT for an unknown source, FLEXI_USAGE for a place that the event does not have.
 */
export function makeEvent(
  samples: readonly Sample[],
  source: string,
  overrides: Readonly<Record<string, string>> = {},
): JsonObject {
  const sample = findSample(samples, source)
  const event = sample.make(new Date())
  for (const [name, value] of Object.entries(overrides)) {
    if (!override({ sample, event, name, value })) throw unknownPlace(sample, event, name)
  }
  sample.settle?.(event)
  return event
}

/** @throws FlexiError FLEXI_NO_INPUT. */
export function findSample<Found extends Sample>(samples: readonly Found[], source: string): Found {
  const found = samples.find((sample) => sample.source === source || shortName(sample) === source)
  if (found !== undefined) return found
  const names = samples.map((sample) => sample.source)
  const near = closest(source, names) ?? fullName(samples, closest(source, samples.map(shortName)))
  throw new FlexiError('FLEXI_NO_INPUT', `there is no sample event of ${source}`, {
    hint: near === undefined ? `There are: ${names.join(', ')}.` : `Did you mean ${near}?`,
  })
}

function fullName(samples: readonly Sample[], short: string | undefined): string | undefined {
  return samples.find((sample) => shortName(sample) === short)?.source
}

function shortName({ source }: Sample): string {
  return source.slice(source.indexOf(':') + 1)
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
