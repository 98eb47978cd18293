import { z } from 'zod'

import { PERMISSIONS, type Digest, type Group } from '../../model.ts'

/** What a label of a host name may be: functions, versions and aliases are such labels. */
export const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** `ada`: letters, digits and `-`; kept in lower case. */
export const USER_NAME = /^[A-Za-z0-9-]{1,63}$/

/** A group: `permission:write`, `singular:ada`, `custom:team`. */
const GROUP = new RegExp(
  `^(?:permission:(?:${PERMISSIONS.join('|')}|host-net)|singular:[A-Za-z0-9-]{1,63}|custom:[A-Za-z0-9._-]{1,63})$`,
)

/** SHA-256 in hexadecimal. */
const DIGEST = /^[0-9a-f]{64}$/

/** What an operating system takes as the name of a variable, and a shell as well. */
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,254}$/

/** Text that an operating system can hand to a program: it ends at the first NUL. */
const WITHOUT_NUL = new RegExp(String.raw`^[^\u0000]*$`)

const label = z
  .string()
  .regex(LABEL, 'write lower-case letters, digits and "-", which neither begins nor ends it; 63 at most')

export const functionName = label.meta({ examples: ['hello'] })

export const versionName = label.meta({ examples: ['v3'] })

export const aliasName = label.meta({ examples: ['live'] })

export const projectName = label.meta({ examples: ['shop'] })

export const userName = z
  .string()
  .regex(USER_NAME, 'write letters, digits and "-", 63 at most')
  .describe('A name of a user. Case makes no difference.')

export const group = branded<Group>(
  z
    .string()
    .regex(
      GROUP,
      'write "permission:" with read, write, execute, remove, admin, root or host-net, "singular:" with a user, or "custom:" with a name',
    )
    .meta({ id: 'Group', examples: ['permission:write', 'singular:ada', 'custom:team'] }),
)

export const digest = branded<Digest>(
  z
    .string()
    .regex(DIGEST, 'write the SHA-256 of the archive: 64 hexadecimal digits in lower case')
    .describe('SHA-256 of the archive, in lower-case hexadecimal.'),
)

/** `hello@v3`, `hello@live`. */
export const reference = z
  .string()
  .regex(/^[^@/\s]+@[^/\s]+$/, 'write name@version or name@alias')
  .describe('A function and its version, or an alias: "hello@v3", "hello@live".')
  .meta({ examples: ['hello@v3'] })

export const variableName = z
  .string()
  .regex(VARIABLE_NAME, 'is no name of a variable: write letters, digits and "_"')

export const systemText = z.string().regex(WITHOUT_NUL, 'holds a NUL, which no program can be given')

/** Milliseconds since the epoch. */
export const time = z.number().describe('Milliseconds since 1970.')

/** A whole number in a query: `?limit=20`. */
export function wholeNumber(minimum: number, maximum: number) {
  return z.coerce.number(`write a whole number`).pipe(z.int('write a whole number').min(minimum).max(maximum))
}

/** `?follow`, `?follow=true`, `?follow=1`; anything else but `false` and `0` is refused. */
export const flag = z.enum(['', 'true', '1', 'false', '0'], 'write true or false')

/** Whether a `flag` of a query is set. */
export function isSet(value: z.infer<typeof flag> | undefined): boolean {
  return value === '' || value === 'true' || value === '1'
}

/** The pattern is what makes a text one of its kind. */
function branded<T extends string>(schema: z.ZodType<string, string>): z.ZodType<T, T> {
  return schema as unknown as z.ZodType<T, T>
}
