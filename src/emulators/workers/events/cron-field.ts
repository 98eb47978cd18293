import { FlexiError } from '../../../core/errors.ts'

/** One of the five parts of a cron. */
export interface CronField {
  readonly name: string
  readonly min: number
  readonly max: number
  /** In the order of the numbers, from `min` on; any case. */
  readonly names?: readonly string[] | undefined
}

/** `*`, `5`, `1-5`, `MON-FRI`, `22-2` over the end, each also with a step, and lists of them. @throws FlexiError FLEXI_CONFIG. */
export function fieldValues(text: string, field: CronField): ReadonlySet<number> {
  if (text === '*') return new Set(range(field.min, field.max, 1))
  return new Set(text.split(',').flatMap((item) => itemValues(item, field)))
}

function itemValues(item: string, field: CronField): readonly number[] {
  const [, span = '', step] = /^([^/]+)(?:\/(.*))?$/.exec(item) ?? []
  if (span === '' || (span === '*' && step === undefined)) throw wrongItem(item, field)
  const every = step === undefined ? 1 : stepOf(item, step, field)
  const [from, to] = span === '*' ? [field.min, field.max] : ends(span, field, step !== undefined)
  if (from <= to) return range(from, to, every)
  const length = field.max - field.min + 1
  return range(from, to + length, every).map((value) => (value > field.max ? value - length : value))
}

function ends(span: string, field: CronField, isStepped: boolean): readonly [number, number] {
  const [first = '', last, ...more] = span.split('-')
  if (more.length > 0) throw wrongItem(span, field)
  const from = valueOf(first, field)
  if (last === undefined) return [from, isStepped ? field.max : from]
  return [from, valueOf(last, field)]
}

function stepOf(item: string, step: string, { name, min, max }: CronField): number {
  const value = /^\d{1,2}$/.test(step) ? Number(step) : 0
  if (value >= 1 && value <= max - min) return value
  throw wrong(`${name} "${item}" cannot be: after "/" there is a number from 1 to ${max - min}`)
}

/** @throws FlexiError FLEXI_CONFIG for what the field does not have. */
export function valueOf(text: string, field: CronField): number {
  const named = field.names?.indexOf(text.toUpperCase()) ?? -1
  if (named !== -1) return named + field.min
  const value = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN
  if (value >= field.min && value <= field.max) return value
  const names = field.names === undefined ? '' : `, or ${field.names[0]} to ${field.names.at(-1)}`
  throw wrong(`${field.name} "${text}" cannot be: it has ${field.min} to ${field.max}${names}`)
}

function range(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step)
}

function wrongItem(item: string, { name }: CronField): FlexiError {
  return wrong(`${name} "${item}" cannot be`)
}

function wrong(message: string): FlexiError {
  return new FlexiError('FLEXI_CONFIG', message)
}
