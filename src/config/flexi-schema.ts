import type { z as Zod } from 'zod'

/** What flexi.jsonc holds once it is valid. */
export type FlexiDocument = Zod.infer<ReturnType<typeof flexiSchema>>

export type FunctionDocument = NonNullable<FlexiDocument['functions']>[string]

export type RouteDocument = NonNullable<FlexiDocument['routes']>[number]

/** Keys of the objects that take no others, by where they stand. */
export const FLEXI_KEYS = {
  document: ['$schema', 'functions', 'routes', 'server'],
  routes: ['path', 'header', 'to'],
  server: ['port', 'host'],
} as const

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
      .meta({ examples: ['lambda', 'workers', 'native'] })
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
    environment: z
      .record(variable, z.string('must be a string'), 'must be an object of strings')
      .optional()
      .describe('Environment variables. They win over those of "env_file".'),
    env_file: text(z).optional().describe('A file of NAME=value lines.'),
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
    config: text(z).optional().describe('workers: path of the wrangler file.'),
    env: text(z).optional().describe('workers: environment of the wrangler file.'),
    library: text(z).optional().describe('native: path of the shared library.'),
    build: text(z).optional().describe('native: shell command that builds the library.'),
    watch: z
      .array(text(z), 'must be a list of paths and globs')
      .optional()
      .describe('native: sources whose change means building again, for example "src/**/*.c".'),
    threads: z
      .int('must be a whole number above 0')
      .positive('must be a whole number above 0')
      .optional()
      .describe('native: calls at once. Default: as many as the server has.'),
    zig: z
      .enum(['0.13', '0.14'], 'must be "0.13" or "0.14"')
      .optional()
      .describe('native: the allocator that zigInit gets, of Zig up to 0.13 or of later ones.'),
    preallocationKb: z
      .int('must be a whole number')
      .nonnegative('must be a whole number')
      .optional()
      .describe(
        'native: KiB of the arena that each thread starts with. Default: RESPONSE_PREALLOCATION_KB, or 8.',
      ),
  }
}

function routeSchema(z: typeof Zod) {
  const target = 'must be a target, or a list of upstreams'
  return z.strictObject(
    {
      path: z
        .string('must be a path that starts with "/"')
        .regex(/^\/[^?#\s]*$/, 'must be a path: a "/" first, and no space, "?" or "#"')
        .describe('A path and everything below it: "/api" takes "/api" and "/api/x", not "/apix".'),
      header: z
        .string('must be "Name: value-prefix"')
        .regex(/^[\w!#$%&'*+.^`|~-]+:/, 'must be "Name: value-prefix"')
        .optional()
        .describe('Only requests whose field starts so, for example "Host: iam".'),
      to: z
        .union([z.string().min(1, target), z.array(z.string().min(1, target)).min(1, target)], target)
        .describe('A function, an upstream ("http://host:port"), a folder, a handler or a library.'),
    },
    'must be an object with "path" and "to"',
  )
}

function serverSchema(z: typeof Zod) {
  const port = 'must be a whole number from 0 to 65535'
  return z
    .strictObject(
      {
        port: z
          .int(port)
          .min(0, port)
          .max(65_535, port)
          .optional()
          .describe('Default 8069; 0 takes any free one.'),
        host: text(z).optional().describe('Address to listen on. Default 127.0.0.1.'),
      },
      'must be an object with "port" and "host"',
    )
    .describe('Flags and environment variables win over it.')
}

function text(z: typeof Zod) {
  return z.string('must be a string').min(1, 'must not be empty')
}

/** The content of flexi.schema.json. */
export async function flexiSchemaText(): Promise<string> {
  const { z } = await import('zod')
  const schema = z.toJSONSchema(flexiSchema(z), { target: 'draft-7', io: 'input' })
  const named = { ...schema, title: 'flexi.jsonc', allowComments: true, allowTrailingCommas: true }
  return `${JSON.stringify(named, undefined, 2)}\n`
}
