import { z } from 'zod'

import { emulators } from '../../../emulators/registry.ts'
import type { SandboxConfig, VersionConfig } from '../../model.ts'
import { group, systemText, variableName } from './names.ts'

const PORT = String.raw`(?:0|[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])`
const OCTET = String.raw`(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`
const IP6 = z.regexes.ipv6.source.replace(/^\^/, '').replace(/\$$/, '')

/** `127.0.0.1:8080`, `[::1]:0`. */
const ADDRESS = new RegExp(String.raw`^(?:${OCTET}(?:\.${OCTET}){3}|\[(?:${IP6})\]):${PORT}$`)

const address = z
  .string()
  .regex(ADDRESS, 'write an address and a port: "127.0.0.1:8080"; port 0 has one chosen')
  .describe('What the program listens on. Port 0: it is told one in PORT and YFASS_PORT.')

const sandboxFields = {
  args: z.array(systemText).default([]),
  ro_entries: z
    .record(systemText.min(1), systemText.min(1).nullable())
    .default({})
    .describe(
      'Paths of the machine that are readable inside, each under the path given or, with null, the same.',
    ),
  envs: z
    .record(variableName, systemText.nullable())
    .default({})
    .describe('Variables of the program; null takes one away.'),
  inherit_stdout: z
    .boolean()
    .default(false)
    .describe("What the program prints is passed on to the daemon's own output, besides the function's log."),
  syscall_filter_mode: z
    .enum(['Allow', 'Deny'])
    .default('Deny')
    .describe('Deny: the system calls listed fail. Allow: all others do.'),
  syscall_filter: z
    .array(z.string().regex(/^@?[a-z0-9_]{1,64}$/, 'is no name of a system call'))
    .default([])
    .describe(
      'System calls by their kernel names ("ptrace"). A name that is unknown refuses the configuration.',
    ),
  mount_procfs: z.boolean().default(true),
  mount_devtmpfs: z.boolean().default(true),
  mount_tmpfs: z.boolean().default(false),
}

const command = systemText.describe(
  'The program: a name on the search path, or a path that begins with "./" or "/".',
)

const sandbox: z.ZodType<SandboxConfig, Unfinished<SandboxConfig>> = z
  .strictObject({ command: command.default(''), ...sandboxFields })
  .meta({ id: 'Sandbox' })

const limits = z
  .strictObject({
    memoryMb: z.int().min(1).max(1_048_576).optional().describe('MiB of one instance.'),
    processors: z.number().min(0.01).max(1024).optional().describe('0.5 is half of one.'),
    processes: z.int().min(1).max(4_194_304).optional().describe('Processes and threads of one instance.'),
    files: z.int().min(16).max(1_048_576).optional().describe('Open files of one process.'),
    temporaryMb: z.int().min(1).max(1_048_576).optional().describe('MiB of each file system in memory.'),
  })
  .describe('What one instance may use.')

const instances = z
  .strictObject({
    min: z.int().min(0).max(1000).optional().describe('Instances that run without being asked. Default 0.'),
    max: z.int().min(1).max(1000).optional().describe('Instances at once.'),
    idleMs: z
      .int()
      .min(0)
      .max(604_800_000)
      .optional()
      .describe('Milliseconds without a request after which only "min" are left.'),
  })
  .refine(({ min = 0, max = 1000 }) => min <= max, 'has more instances at least than at most')

const health = z.strictObject({
  path: z
    .string()
    .regex(/^\/[\x21-\x7e]*$/, 'write a path: "/health"')
    .optional()
    .describe('Answers with a status below 500 once the function is ready.'),
  timeoutMs: z.int().min(1).max(600_000).optional(),
})

const ownFields = {
  group: group.optional().describe('Who may change it, besides root and admins.'),
  provider: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/, 'is no name of a provider')
    .default('process')
    .meta({ examples: ['process', 'lambda', 'workers', 'native'] }),
  options: z.record(z.string(), z.unknown()).default({}).describe("The provider's own settings."),
  environment: z.record(variableName, systemText).default({}),
  timeoutMs: z.int().min(1).max(86_400_000).optional().describe('Milliseconds a request may take.'),
  memoryMb: z
    .int()
    .min(1)
    .max(1_048_576)
    .optional()
    .describe('MiB of memory that the function is told it has.'),
  network: z
    .enum(['egress', 'none', 'host'])
    .default('egress')
    .describe(
      "egress: the outside, but neither the machine nor the daemon. none: nothing. host: the machine's own network, which takes the group permission:host-net.",
    ),
  limits: limits.default({}),
  instances: instances.default({}),
  health: health.default({}),
}

/** As `flexi deploy` sends it: everything has a default. */
export const versionConfig: z.ZodType<VersionConfig, VersionConfigInput> = z
  .strictObject({
    ...ownFields,
    addr: address.default('127.0.0.1:0'),
    sandbox: sandbox.prefault({}),
  })
  .meta({ id: 'VersionConfig' })

/** As YFASS takes it: the address, the sandbox and its command have to be said. */
export const overridingConfig: z.ZodType<VersionConfig, VersionConfigInput> = z
  .strictObject({
    ...ownFields,
    provider: z
      .enum(Object.keys(emulators), `is none that this daemon has: ${Object.keys(emulators).join(', ')}`)
      .default('process'),
    addr: address,
    sandbox: z.strictObject({ command, ...sandboxFields }).meta({ id: 'OverridingSandbox' }),
  })
  .meta({ id: 'OverridingConfig' })

/** A configuration as people write it. */
export type VersionConfigInput = Unfinished<Omit<VersionConfig, 'sandbox'>> & {
  readonly sandbox?: Unfinished<SandboxConfig> | undefined
}

/** What has a default may be left out. */
type Unfinished<T> = { readonly [K in keyof T]?: T[K] | undefined }

/** What an upload without a configuration has (YFASS): all defaults. */
export function defaultConfig(): VersionConfig {
  return versionConfig.parse({})
}

/** A configuration as it is told: YFASS's own fields always, ours where they say something. */
export const shownConfig = z
  .strictObject({
    group: group.optional(),
    provider: z.string().optional(),
    options: z.record(z.string(), z.unknown()).optional(),
    environment: z.record(z.string(), z.string()).optional(),
    timeoutMs: z.number().optional(),
    memoryMb: z.number().optional(),
    network: z.enum(['egress', 'none', 'host']).optional(),
    limits: limits.optional(),
    instances: instances.optional(),
    health: health.optional(),
    addr: z.string(),
    sandbox: z.strictObject({
      command: z.string(),
      args: z.array(z.string()),
      ro_entries: z.record(z.string(), z.string().nullable()),
      envs: z.record(z.string(), z.string().nullable()),
      inherit_stdout: z.boolean(),
      syscall_filter_mode: z.enum(['Allow', 'Deny']),
      syscall_filter: z.array(z.string()),
      mount_procfs: z.boolean(),
      mount_devtmpfs: z.boolean(),
      mount_tmpfs: z.boolean(),
    }),
  })
  .meta({ id: 'ShownConfig' })

export type ShownConfig = z.infer<typeof shownConfig>
