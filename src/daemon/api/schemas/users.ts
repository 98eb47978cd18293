import { z } from 'zod'

import type { AuditRecord, TokenRecord, UserRecord } from '../../model.ts'
import { group, time, USER_NAME, userName } from './names.ts'

/** A name that is no name is forbidden and not malformed, in YFASS: the pattern is told, and asked by the accounts. */
const shownUserName = z
  .string()
  .max(255)
  .describe('A name of a user. Case makes no difference.')
  .meta({ pattern: USER_NAME.source })

/** YFASS's body of `user/add` and `user/modify`. Without groups a user has none. */
export const userChange = z
  .strictObject({ name: shownUserName, groups: z.array(group).max(256).default([]) })
  .meta({ id: 'UserChange' })

/** YFASS's answer of `user/get`. */
export const shownUser = z.strictObject({ name: z.string(), groups: z.array(group) }).meta({ id: 'User' })

export const userRecord: z.ZodType<UserRecord> = z
  .strictObject({ name: z.string(), groups: z.array(group), createdAt: time })
  .meta({ id: 'UserRecord' })

/** A terminal prints it. */
const WITHOUT_CONTROLS = new RegExp(String.raw`^[^\u0000-\u001f\u007f-\u009f]*$`)

const days = z.number().gt(0).max(3650)

/** YFASS's body of `user/request-token`; the answer is the token as text. */
export const tokenForUser = z
  .strictObject({ user: shownUserName, duration: days.default(10).describe('Days until it expires.') })
  .meta({ id: 'TokenForUser' })

export const tokenRequest = z
  .strictObject({
    user: userName.optional().describe('Default: who asks. For another it takes permission:admin.'),
    label: z.string().max(100).regex(WITHOUT_CONTROLS, 'holds control characters').optional(),
    days: days.default(10).describe('Days until it expires. Fractions count.'),
    scopes: z
      .array(group)
      .min(1)
      .max(256)
      .optional()
      .describe("What of its user's groups it may use. Default: all of them."),
  })
  .meta({ id: 'TokenRequest' })

const tokenFields = {
  id: z.string(),
  user: z.string(),
  label: z.string(),
  scopes: z.array(group).optional(),
  createdAt: time,
  expiresAt: time.optional(),
  usedAt: time.optional().describe('To the minute.'),
}

/** A token as it is told afterwards: neither itself nor its hash. */
export const shownToken: z.ZodType<Omit<TokenRecord, 'hash'>> = z
  .strictObject(tokenFields)
  .meta({ id: 'Token' })

/** The only time that a token itself is told. */
export const issuedToken = z
  .strictObject({ token: z.string(), record: shownToken })
  .meta({ id: 'IssuedToken' })

export const whoami = z
  .strictObject({
    user: z.string(),
    token: z.string().describe('The id of the token, or "root".'),
    groups: z.array(group).describe("What the user's groups and the token's scopes leave."),
    permissions: z
      .array(z.enum(['read', 'write', 'execute', 'remove', 'admin', 'root']))
      .describe('What they come to.'),
    expiresAt: time.optional(),
  })
  .meta({ id: 'WhoAmI' })

export const auditRecord: z.ZodType<AuditRecord> = z
  .strictObject({
    id: z.number(),
    at: time,
    user: z.string(),
    token: z.string(),
    from: z.string(),
    action: z.string(),
    object: z.string(),
    outcome: z.enum(['done', 'refused', 'failed']),
    detail: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'AuditRecord' })
