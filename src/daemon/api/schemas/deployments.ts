import { z } from 'zod'

import type { DeploymentEvent, DeploymentRecord, DeploymentRequest } from '../../model.ts'
import { versionConfig, type VersionConfigInput } from './config.ts'
import { aliasName, digest, functionName, projectName, time, versionName } from './names.ts'

/** A name with a dot, whose last part is no number: that would be an address. */
const HOST_NAME =
  /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/

const part = z
  .strictObject({
    name: functionName,
    version: versionName
      .optional()
      .describe('Default: the next number, "v4"; what is there with equal content is taken.'),
    artifact: digest,
    config: versionConfig,
    signature: z.unknown().optional().describe('A sigstore bundle over the bytes of the archive.'),
  })
  .meta({ id: 'DeploymentPart' })

/** A deployment as a client writes it: configurations may leave out what has a default. */
export type DeploymentRequestInput = Omit<DeploymentRequest, 'parts' | 'alias'> & {
  readonly alias?: string | undefined
  readonly parts: readonly (Omit<DeploymentRequest['parts'][number], 'config'> & {
    readonly config: VersionConfigInput
  })[]
}

export const deploymentRequest: z.ZodType<DeploymentRequest, DeploymentRequestInput> = z
  .strictObject({
    project: projectName,
    alias: aliasName.default('live'),
    parts: z.array(part).min(1).max(1000),
    domains: z
      .array(z.string().regex(HOST_NAME, 'is no host name'))
      .max(100)
      .optional()
      .describe("Host names besides those of the daemon's domain."),
    dryRun: z.boolean().optional().describe('Checks everything, starts nothing, keeps nothing.'),
  })
  .meta({ id: 'DeploymentRequest' })

const state = z.enum([
  'received',
  'verified',
  'unpacked',
  'starting',
  'probing',
  'ready',
  'switched',
  'failed',
])

const key = { name: z.string(), version: z.string() }

export const deploymentRecord: z.ZodType<DeploymentRecord> = z
  .strictObject({
    id: z.string(),
    project: z.string(),
    alias: z.string(),
    state,
    keys: z.array(z.strictObject(key)),
    startedAt: time,
    endedAt: time.optional(),
    by: z.string(),
    error: z.string().optional(),
  })
  .meta({ id: 'Deployment' })

const done = z.strictObject({
  event: z.literal('done'),
  id: z.string(),
  functions: z.array(z.strictObject({ ...key, urls: z.array(z.string()), changed: z.boolean() })),
  durationMs: z.number(),
})

const failed = z.strictObject({
  event: z.literal('failed'),
  id: z.string(),
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  function: z.string().optional(),
  log: z.array(z.string()).describe('The last lines the function printed.'),
})

/** A line of a deployment's answer; the last one is `done` or `failed`. */
export const deploymentEvent: z.ZodType<DeploymentEvent> = z
  .discriminatedUnion('event', [
    z.strictObject({ event: z.literal('state'), state, function: z.string().optional() }),
    z.strictObject({ event: z.literal('log'), function: z.string(), text: z.string() }),
    done,
    failed,
  ])
  .meta({ id: 'DeploymentEvent' })
