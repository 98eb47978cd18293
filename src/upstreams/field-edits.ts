import { FlexiError } from '../core/errors.ts'

/** Changes to the fields of a message, ready to be made. */
export interface FieldEdits {
  /** name, value, name, value … */
  readonly set: readonly string[]
  /** Lower-case names of those that are taken away. */
  readonly removed: readonly string[]
  /** Lower-case names of both. */
  readonly names: ReadonlySet<string>
}

/**
 * Reads `{ "X-A": "1", "Server": null }`.
 * @throws FlexiError FLEXI_CONFIG for what cannot be in a message, or is not the configuration's to say.
 */
export function readFieldEdits(
  fields: Readonly<Record<string, string | null>> | undefined,
): FieldEdits | undefined {
  const entries = Object.entries(fields ?? {})
  if (entries.length === 0) return undefined
  for (const [name, value] of entries) check(name, value)
  return {
    set: entries.flatMap(([name, value]) => (value === null ? [] : [name, value])),
    removed: entries.flatMap(([name, value]) => (value === null ? [name.toLowerCase()] : [])),
    names: new Set(entries.map(([name]) => name.toLowerCase())),
  }
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
/** They frame or route the message, or belong to one connection. */
const NOT_OURS = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
])

function check(name: string, value: string | null): void {
  if (!TOKEN.test(name)) throw fault(`${JSON.stringify(name)} is no name of a header field`)
  if (NOT_OURS.has(name.toLowerCase()))
    throw fault(`${name} is not set here: it frames or routes the message`)
  if (value !== null && !VALUE.test(value))
    throw fault(`the value of ${name} cannot be sent in a header field`)
}

function fault(message: string): FlexiError {
  return new FlexiError('FLEXI_CONFIG', message, {
    hint: 'Mend the headers of the upstream; Host has a setting of its own, "host".',
  })
}

export function editFields(fields: string[], edits: FieldEdits): string[] {
  const edited: string[] = []
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? ''
    if (!edits.names.has(name.toLowerCase())) edited.push(name, fields[i + 1] ?? '')
  }
  edited.push(...edits.set)
  return edited
}
