import { validation } from './events-errors.ts'
import { parsePath, valueAt } from './json-path.ts'

export interface Transformation {
  /** JSON text in place of the event. */
  readonly input?: string | undefined
  /** `$.detail` */
  readonly inputPath?: string | undefined
  readonly transformer?:
    | { readonly paths: Readonly<Record<string, string>>; readonly template: string }
    | undefined
}

export interface TransformedRule {
  readonly name: string
  readonly arn: string
}

/** What a target gets of an event: JSON text, or what a template makes of it. */
export type Transform = (event: Readonly<Record<string, unknown>>) => string

/** @throws BrokerError ValidationException. */
export function compileTransform(transformation: Transformation, rule: TransformedRule): Transform {
  const { input, inputPath, transformer } = transformation
  if ([input, inputPath, transformer].filter((one) => one !== undefined).length > 1) {
    throw validation('Only one of Input, InputPath, or InputTransformer must be provided')
  }
  if (input !== undefined) {
    if (!isJson(input)) throw validation('JSON syntax error in input for target')
    return () => input
  }
  if (transformer !== undefined) return compileTemplate(transformer, rule)
  if (inputPath === undefined) return (event) => JSON.stringify(event)
  const steps = stepsOf(inputPath)
  return (event) => JSON.stringify(valueAt(event, steps) ?? null)
}

function compileTemplate(
  { paths, template }: NonNullable<Transformation['transformer']>,
  rule: TransformedRule,
): Transform {
  const variables = new Map(Object.entries(paths).map(([name, path]) => [name, stepsOf(path)]))
  return (event) => {
    const valueOf = (name: string): unknown => {
      const steps = variables.get(name)
      return steps === undefined ? reservedValue(name, event, rule) : valueAt(event, steps)
    }
    return filled(template, valueOf)
  }
}

/** Undefined for a name that is none. */
function reservedValue(
  name: string,
  event: Readonly<Record<string, unknown>>,
  rule: TransformedRule,
): unknown {
  switch (name) {
    case 'aws.events.rule-arn':
      return rule.arn
    case 'aws.events.rule-name':
      return rule.name
    case 'aws.events.event.ingestion-time':
      return event['time']
    case 'aws.events.event':
      return Object.fromEntries(Object.entries(event).filter(([key]) => key !== 'detail'))
    case 'aws.events.event.json':
      return event
    default:
      return undefined
  }
}

/** Inside quotes a value is part of the text, elsewhere it is JSON. What is not there is nothing. */
function filled(template: string, valueOf: (name: string) => unknown): string {
  let quoted = false
  return template.replaceAll(PART, (part, name: string | undefined) => {
    if (name === undefined) {
      if (part === '"') quoted = !quoted
      return part
    }
    const value = valueOf(name)
    if (value === undefined) return quoted ? '' : '""'
    if (!quoted) return JSON.stringify(value)
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    return JSON.stringify(text).slice(1, -1)
  })
}

/** An escaped letter, a quote, or `<name>`. */
const PART = /\\.|"|<([\w.-]+)>/gs

function stepsOf(path: string): readonly (string | number)[] {
  const steps = parsePath(path)
  if (steps === undefined) throw validation(`Invalid JSON path: ${path}`)
  return steps
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
