import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import { findNodeAtLocation } from 'jsonc-parser'
import type { core } from 'zod'

import type { Fault } from '../core/place.ts'
import { closest } from '../core/suggest.ts'
import { conforms, type JsonSchema } from './conforms.ts'
import { locate, type FaultPlace, type FlexiSource, type Path } from './flexi-faults.ts'
import { flexiSchema, type FlexiDocument } from './flexi-schema.ts'
import { innermost, withoutFaulty } from './without-faulty.ts'

export interface Validation {
  /** Without what has a fault: of an object its key, of a list the whole list, of the list of routes the route. */
  readonly document: FlexiDocument
  /** Where each route of the document stands in the file's list. */
  readonly routeIndexes: readonly number[]
  readonly faults: readonly Fault[]
}

/** Finds all faults at once, and keeps what has none. */
export async function validate(source: FlexiSource, value: unknown): Promise<Validation> {
  const count = findNodeAtLocation(source.root, ['routes'])?.children?.length ?? 0
  const indexes = Array.from({ length: count }, (_, index) => index)
  const shipped = await readSchema()
  if (conforms(shipped, value)) return { document: value as FlexiDocument, routeIndexes: indexes, faults: [] }
  const { z } = await import('zod')
  const schema = flexiSchema(z)
  const issues = (schema.safeParse(value).error?.issues ?? []).flatMap(innermost)
  return {
    ...withoutFaulty(value, issues, (rest) => schema.safeParse(rest)),
    faults: issues.flatMap((issue) => issueFaults({ source, schema: shipped }, issue)),
  }
}

/** The schema that ships with the package. */
async function readSchema(): Promise<JsonSchema> {
  const text = await readFile(fileURLToPath(import.meta.resolve('flexi/flexi.schema.json')), 'utf8')
  return JSON.parse(text) as JsonSchema
}

interface Validated {
  readonly source: FlexiSource
  readonly schema: JsonSchema
}

function issueFaults({ source, schema }: Validated, issue: core.$ZodIssue): Fault[] {
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)))
  if (issue.code === 'unrecognized_keys') {
    const keys = keysAt(schema, path)
    return issue.keys.map((key) => unknownKey(locate(source, [...path, key], 'key'), key, keys))
  }
  if (issue.code === 'invalid_key') {
    const rule = issue.issues[0]?.message ?? issue.message
    return [{ ...locate(source, path, 'key'), message: `"${String(path.at(-1))}" ${rule}` }]
  }
  const node = findNodeAtLocation(source.root, path)
  const name = nameOf(path)
  if (node === undefined)
    return [
      { ...locate(source, path), message: `${name} is missing`, hint: `Add ${name}: it ${issue.message}.` },
    ]
  const written = source.text.slice(node.offset, node.offset + node.length).replaceAll(/\s+/g, ' ')
  const shown = written.length > SHOWN_MAX ? `${written.slice(0, SHOWN_MAX)}…` : written
  return [{ ...locate(source, path), message: `${name} ${issue.message}, not ${shown}` }]
}

const SHOWN_MAX = 40

/** [functions, hello, timeout] → `"timeout"`, [routes, 0] → `routes[0]`. */
function nameOf(path: Path): string {
  const last = path.at(-1)
  if (last === undefined) return 'the file'
  return typeof last === 'number' ? `${String(path.at(-2))}[${last}]` : `"${last}"`
}

function unknownKey(at: FaultPlace, key: string, keys: readonly string[]): Fault {
  const near = closest(key, keys)
  const hint = near === undefined ? `Keys here are ${keys.join(', ')}.` : `Did you mean "${near}"?`
  return { ...at, message: `unknown key "${key}"`, hint }
}

/** The keys of the object at a path, whichever of its forms it has. */
export function keysAt(schema: JsonSchema, path: Path): readonly string[] {
  const found = path.reduce((schemas, step) => schemas.flatMap((one) => below(one, step)), forms(schema))
  return found.flatMap(({ properties }) => (isSchema(properties) ? Object.keys(properties) : []))
}

function below(schema: JsonSchema, step: string | number): JsonSchema[] {
  const { properties, additionalProperties, items } = schema
  if (typeof step === 'number') return forms(items)
  const own = isSchema(properties) ? forms(properties[step]) : []
  return own.length > 0 ? own : forms(additionalProperties)
}

function forms(schema: unknown): JsonSchema[] {
  if (!isSchema(schema)) return []
  const { anyOf } = schema
  return Array.isArray(anyOf) ? anyOf.flatMap(forms) : [schema]
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
