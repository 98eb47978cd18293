import { z } from 'zod'

import type { FunctionDetail, FunctionSummary } from '../../control-plane.ts'
import type { AliasMove, AliasRecord, LogRecord, VariableRecord } from '../../model.ts'
import { aliasName, digest, group, systemText, time, variableName, versionName } from './names.ts'

const second = z
  .strictObject({
    version: versionName,
    weight: z.number().min(0).max(1).describe('Share of the requests that go to this version.'),
  })
  .describe('A canary.')

/** Where an alias is to lead. */
export const aliasTarget = z
  .strictObject({ version: versionName, second: second.optional() })
  .meta({ id: 'AliasTarget' })

const shownSecond = z.strictObject({ version: z.string(), weight: z.number() })

const aliasFields = {
  function: z.string(),
  alias: z.string(),
  version: z.string(),
  second: shownSecond.optional(),
}

export const aliasRecord: z.ZodType<AliasRecord> = z
  .strictObject({ ...aliasFields, movedAt: time, movedBy: z.string() })
  .meta({ id: 'Alias' })

/** A line of an alias's history, newest first. */
export const aliasMove: z.ZodType<AliasMove> = z
  .strictObject({ ...aliasFields, at: time, by: z.string() })
  .meta({ id: 'AliasMove' })

const state = z
  .enum(['running', 'idle', 'starting', 'crashed', 'stopped'])
  .describe('idle: a request starts it. crashed: it ended by itself, and waits for its next start.')

const statusFields = {
  name: z.string(),
  version: z.string(),
  state,
  instances: z.number(),
  inFlight: z.number().describe('Requests under way.'),
  since: time.describe('Since when it is in this state.'),
  restarts: z.number(),
  lastExit: z.string().optional(),
  aliases: z.array(z.string()),
}

const summaryFields = {
  name: z.string(),
  project: z.string().optional(),
  number: z.number(),
  group: group.optional(),
  createdAt: time,
  createdBy: z.string(),
  provider: z.string(),
  versions: z.number(),
  aliases: z.array(aliasRecord),
  state,
  url: z.string(),
}

export const functionSummary: z.ZodType<FunctionSummary> = z
  .strictObject(summaryFields)
  .meta({ id: 'Function' })

export const functionDetail: z.ZodType<FunctionDetail> = z
  .strictObject({
    ...summaryFields,
    schedules: z
      .array(
        z.strictObject({ expression: z.string(), timeZone: z.string().optional(), next: time.optional() }),
      )
      .describe('What the daemon runs it by, and when next; empty while it is stopped.'),
    statuses: z.array(
      z.strictObject({ ...statusFields, createdAt: time, createdBy: z.string(), artifact: digest }),
    ),
  })
  .meta({ id: 'FunctionDetail' })

export const groupChange = z
  .strictObject({ group: group.nullable().describe('null: everybody with the permission may change it.') })
  .meta({ id: 'GroupChange' })

export const rollbackRequest = z
  .strictObject({
    alias: aliasName.default('live'),
    to: versionName.optional().describe('A version. Default: where the alias led before.'),
  })
  .meta({ id: 'Rollback' })

/** A line of a function's log. */
export const logRecord: z.ZodType<LogRecord> = z
  .strictObject({
    at: time,
    function: z.string(),
    version: z.string(),
    stream: z.enum(['stdout', 'stderr', 'platform']),
    level: z.enum(['debug', 'info', 'warn', 'error']),
    text: z.string(),
    requestId: z.string().optional(),
  })
  .meta({ id: 'LogLine' })

export const variableRecord: z.ZodType<VariableRecord> = z
  .strictObject({
    function: z.string(),
    name: z.string(),
    secret: z.boolean(),
    value: z.string().optional().describe('Secrets have none.'),
    setAt: time,
    setBy: z.string(),
  })
  .meta({ id: 'Variable' })

export const variableChanges = z
  .strictObject({
    secret: z.boolean().default(false).describe('Sealed where they are kept, and never told.'),
    values: z.record(variableName, systemText.max(65_536).nullable()).describe('null takes one away.'),
  })
  .meta({ id: 'VariableChanges' })
