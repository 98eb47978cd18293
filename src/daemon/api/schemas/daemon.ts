import { z } from 'zod'

import { time } from './names.ts'

const sandboxCapabilities = z.strictObject({
  isolation: z.string().optional().describe('Without it functions run unprotected, as the operator said.'),
  systemCalls: z.boolean(),
  limits: z.enum(['cgroup2', 'cgroup1', 'rlimit', 'none']),
  egress: z.string().optional(),
  ownUsers: z.boolean(),
  notes: z.array(z.string()).describe('What is not enforced here, and what to install or change.'),
})

export const daemonInfo = z
  .strictObject({
    version: z.string(),
    domain: z.string(),
    url: z.string(),
    startedAt: time,
    sandbox: sandboxCapabilities,
    requiresSignature: z.boolean(),
    functions: z.number(),
  })
  .meta({ id: 'DaemonInfo' })

/** The body of every answer that is an error. */
export const apiError = z
  .strictObject({
    error: z.string(),
    code: z.string().optional(),
    hint: z.string().optional().describe('One action that helps.'),
    log: z.array(z.string()).optional().describe('The last lines that the function printed.'),
    faults: z
      .array(z.strictObject({ path: z.string(), message: z.string() }))
      .optional()
      .describe('What is wrong with the body, by the place in it: "parts.0.config.addr".'),
  })
  .meta({ id: 'Error' })

export type ApiErrorBody = z.infer<typeof apiError>
