import { FlexiError } from '../core/errors.ts'
import { closest } from '../core/suggest.ts'
import { type Group, PERMISSIONS } from '../daemon/model.ts'

const NAMES = [...PERMISSIONS, 'host-net'] as const

/** A group as it is written, and a permission by its name alone: `write` → `permission:write`. @throws FlexiError FLEXI_USAGE. */
export function parseGroup(text: string): Group {
  const found = text.indexOf(':')
  const kind = found === -1 ? 'permission' : text.slice(0, found)
  const name = text.slice(found + 1)
  if (kind === 'permission') return `permission:${permissionOf(name)}`
  if ((kind === 'singular' || kind === 'custom') && name !== '') return `${kind}:${name}`
  throw new FlexiError('FLEXI_USAGE', `${JSON.stringify(text)} is no group`, {
    hint: `Write permission:${NAMES.join('|')}, singular:USER or custom:NAME.`,
  })
}

function permissionOf(name: string): (typeof NAMES)[number] {
  const known = NAMES.find((one) => one === name)
  if (known !== undefined) return known
  const near = closest(name, NAMES)
  throw new FlexiError('FLEXI_USAGE', `there is no permission ${JSON.stringify(name)}`, {
    hint: near === undefined ? `There are ${NAMES.join(', ')}.` : `Did you mean "${near}"?`,
  })
}

/** The group that a function is to have; null for none. @throws FlexiError FLEXI_USAGE when neither or both are said. */
export function groupFor(text: string | undefined, none: boolean): Group | null {
  if (none === (text !== undefined))
    throw new FlexiError(
      'FLEXI_USAGE',
      none ? 'a group and --none contradict each other' : 'there is no group',
      {
        hint: 'Name a group, or take it away with --none.',
      },
    )
  return text === undefined ? null : parseGroup(text)
}
