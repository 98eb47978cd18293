import type { z as Zod } from 'zod'

import { routeSchema } from './route-schema.ts'
import { deploySchema } from './deploy-schema.ts'
import { text } from './schema-parts.ts'
import { serverSchema } from './server-schema.ts'

/** What flexi.jsonc holds once it is valid. */
export type FlexiDocument = Zod.infer<ReturnType<typeof flexiSchema>>

export type FunctionDocument = NonNullable<FlexiDocument['functions']>[string]

export type RouteDocument = NonNullable<FlexiDocument['routes']>[number]

export type ServerDocument = NonNullable<FlexiDocument['server']>

/**
 * The one description of flexi.jsonc: it validates at run time, and flexi.schema.json, which editors complete from, is made of it.
 * zod is passed in because loading it takes as long as the rest of reading a project.
 */
export function flexiSchema(z: typeof Zod) {
  return z.strictObject(
    {
      $schema: z
        .string('must be the path of flexi.schema.json')
        .optional()
        .describe('Path of flexi.schema.json, for editors.'),
      functions: z
        .record(functionName(z), functionSchema(z), 'must be an object of functions by name')
        .optional()
        .describe('Functions by name: letters, digits, "-" and "_".'),
      routes: z
        .array(routeSchema(z), 'must be a list of routes')
        .optional()
        .describe('The first that matches answers; those of proxy.ini come before them.'),
      server: serverSchema(z).optional(),
    },
    'must be an object',
  )
}

function functionName(z: typeof Zod) {
  return z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_-]*$/, 'is no name: write letters, digits, "-" and "_", a letter first')
}

function functionSchema(z: typeof Zod) {
  const variable = z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is no name of a variable: write letters, digits and "_"')
  const common = {
    provider: text(z)
      .meta({ examples: ['lambda', 'workers', 'native', 'process'] })
      .describe('Whose function it is.'),
    timeout: z
      .number('must be a number of seconds above 0')
      .positive('must be a number of seconds above 0')
      .optional()
      .describe('Seconds a request may take.'),
    memory: z
      .int('must be a whole number of MB above 0')
      .positive('must be a whole number of MB above 0')
      .optional()
      .describe('MB of memory.'),
    port: z
      .int('must be a port: 1 to 65535')
      .min(1, 'must be a port: 1 to 65535')
      .max(65_535, 'must be a port: 1 to 65535')
      .optional()
      .describe('A port of its own, besides its other addresses.'),
    environment: z
      .record(variable, z.string('must be a string'), 'must be an object of strings')
      .optional()
      .describe('Environment variables. They win over those of "env_file".'),
    env_file: text(z).optional().describe('A file of NAME=value lines.'),
    deploy: deploySchema(z).optional(),
  }
  return z
    .looseObject({ ...common, ...providerKeys(z) }, 'must be an object')
    .describe('One function. Keys that are not listed are for its provider.')
}

/** What each provider understands, listed for editors; a provider checks its own. */
function providerKeys(z: typeof Zod) {
  return {
    handler: text(z).optional().describe('lambda: module and export, for example "src/hello.handler".'),
    runtime: text(z).optional().describe('lambda: for example "nodejs20.x" or "python3.12".'),
    entry: text(z).optional().describe('lambda: the source that the module of the handler is compiled from.'),
    ...lambdaKeys(z),
    config: text(z).optional().describe('workers: path of the wrangler file.'),
    env: text(z).optional().describe('workers: environment of the wrangler file.'),
    crons: z.boolean().optional().describe('workers: false keeps crons from firing by the clock.'),
    time_zone: text(z)
      .optional()
      .describe('workers: by whose clocks crons fire: "local" or "Europe/Berlin". Default UTC.'),
    library: text(z).optional().describe('native: path of the shared library.'),
    build: text(z).optional().describe('native: shell command that builds the library.'),
    watch: z
      .array(text(z), 'must be a list of paths and globs')
      .optional()
      .describe(
        'native: sources whose change means building again, for example "src/**/*.c". process: what to start it again for.',
      ),
    threads: z
      .int('must be a whole number above 0')
      .positive('must be a whole number above 0')
      .optional()
      .describe('native: calls at once. Default: as many as the server has.'),
    isolation: z
      .enum(['process', 'none'], 'must be "process" or "none"')
      .optional()
      .describe(
        'native: "none" runs the library in the process of flexi itself: faster, and its crash is the crash of all. Default "process".',
      ),
    zig: z
      .string('must be a version of Zig, such as "0.13"')
      .regex(/^0\.\d{1,3}([.-].*)?$/, 'must be a version of Zig, such as "0.13"')
      .optional()
      .describe('native: version of Zig that compiled the library: which allocator zigInit gets.'),
    preallocationKb: z
      .int('must be a whole number')
      .nonnegative('must be a whole number')
      .optional()
      .describe(
        'native: KiB of the arena that each thread starts with. Default: RESPONSE_PREALLOCATION_KB, or 8.',
      ),
    ...processKeys(z),
  }
}

function processKeys(z: typeof Zod) {
  return {
    command: text(z).optional().describe('process: the program, for example "node" or "./server".'),
    args: z.array(z.string(), 'must be a list of texts').optional().describe('process: what follows it.'),
    listen: z
      .union([z.int(), z.literal('socket')], 'must be a port or "socket"')
      .optional()
      .describe(
        'process: the port it always listens on, or "socket" for the Unix socket that SOCKET names. Default: PORT names a port.',
      ),
    ready: z
      .looseObject({}, 'must be an object')
      .optional()
      .describe('process: { "path": "/healthz", "timeout": 30 }: what has to answer before it is asked.'),
    stop_timeout: z
      .number('must be a number of seconds above 0')
      .optional()
      .describe('process: seconds from SIGTERM to SIGKILL. Default 5.'),
    files: z
      .array(text(z), 'must be a list of paths')
      .optional()
      .describe('process: files and folders that are deployed. Default: the whole folder.'),
  }
}

/** Lambda's settings around the code. Editors complete them; Lambda's own part says what is wrong with them. */
function lambdaKeys(z: typeof Zod) {
  const listed = (description: string) =>
    z
      .unknown()
      .optional()
      .meta({ description: `lambda: ${description}` })
  return {
    functionName: listed('how AWS calls it, where that is another name.'),
    archive: listed('a zip file that holds the code.'),
    alias: listed('an alias of version 1, published at the start.'),
    reservedConcurrency: listed('invocations at once; one more is 429.'),
    provisionedConcurrency: listed('environments that are started ahead.'),
    maximumRetryAttempts: listed('attempts after an event failed: 0, 1 or 2.'),
    maximumEventAge: listed('seconds that an event may wait: 60 to 21,600.'),
    deadLetter: listed('ARN of a queue or topic for events that failed.'),
    onSuccess: listed('ARN of what is told of results of events.'),
    onFailure: listed('ARN of what is told of events that failed.'),
    layers: listed('folders or zip files, five at most.'),
    sources: listed('where events come from: { "type": "sqs", "queue": "jobs" }.'),
    url: listed('its own address: "cors", "invokeMode".'),
    esbuild: listed('how its source is compiled: "loader", "define", "banner", "external" …'),
  }
}

/** The content of flexi.schema.json. */
export async function flexiSchemaText(): Promise<string> {
  const { z } = await import('zod')
  const schema = z.toJSONSchema(flexiSchema(z), { target: 'draft-7', io: 'input' })
  const named = { ...schema, title: 'flexi.jsonc', allowComments: true, allowTrailingCommas: true }
  return `${JSON.stringify(named, undefined, 2)}\n`
}
