import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import type { InvokeOptions } from '../app.ts'
import { ERROR_CODES, FlexiError } from '../core/errors.ts'
import type { DevEvent } from '../core/events.ts'
import { DevScreen } from '../terminal/dev-screen.ts'
import { paintFor } from '../terminal/paint.ts'
import { FlexiCommand } from './flexi-command.ts'
import { eventOf, jsonOrText } from './invoke-event.ts'
import { credentialsFlag, optionalFile, projectDirectory, projectFlags } from './options.ts'
import { payloadOf } from './payload.ts'

interface InvokeJson {
  readonly payload: unknown
  readonly contentType: string
  readonly functionError?: string | undefined
  readonly log: string
}

export default class Invoke extends FlexiCommand {
  static override readonly summary = 'Run a function once, without a server, and print what it returns.'
  static override readonly description = `A Lambda function gets the payload as its event. A Worker or a native library gets it as the body of a request, which --method, --path and --header complete; with --event cron, queue or email another handler of it runs, and the outcome is printed. What the function prints goes to stderr, what it returns to stdout; the exit code is 1 when it failed.`
  static override readonly examples = [
    { description: 'With an empty event', command: '<%= config.bin %> <%= command.id %> hello' },
    {
      description: 'With an event of your own',
      command: `<%= config.bin %> <%= command.id %> --payload '{"name":"Ada"}' hello`,
    },
    {
      description: 'From a file, or from standard input',
      command: '<%= config.bin %> <%= command.id %> --payload event.json hello',
    },
    {
      description: 'With a sample event',
      command: '<%= config.bin %> <%= command.id %> --event aws:sqs --set body=hello worker',
    },
    {
      description: 'The scheduled handler of a Worker',
      command: '<%= config.bin %> <%= command.id %> --event cron --set "cron=0 7 * * *" edge',
    },
    {
      description: 'The queue handler, with two messages',
      command: `<%= config.bin %> <%= command.id %> --event queue --set queue=orders --payload '[{"id":1},{"id":2}]' edge`,
    },
    {
      description: 'A Worker, as a request',
      command: '<%= config.bin %> <%= command.id %> --path /api/items?x=1 --header "Accept: text/plain" edge',
    },
  ]
  static override readonly args = {
    function: Args.string({ ignoreStdin: true, description: 'name of the function', required: true }),
  }
  static override readonly flags = {
    ...projectFlags,
    dir: Flags.string({ char: 'C', default: '.', helpValue: 'DIR', summary: 'Folder of the project.' }),
    payload: Flags.string({
      char: 'p',
      helpValue: 'JSON|FILE|-',
      summary:
        'What the function gets: JSON text, a file, or - for standard input. With --event queue the bodies, with --event email the message.',
    }),
    event: Flags.string({
      char: 'e',
      helpValue: 'SOURCE',
      summary: 'Pass a sample event of this source. "flexi events" lists them.',
    }),
    set: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'NAME=VALUE',
      summary: 'Replace a value of the sample event.',
      dependsOn: ['event'],
    }),
    method: Flags.string({
      char: 'X',
      helpValue: 'METHOD',
      summary: 'Method of the request. Default: POST with a payload, else GET.',
    }),
    path: Flags.string({ helpValue: 'TARGET', summary: 'Path and query of the request. Default: /' }),
    header: Flags.string({
      char: 'H',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '"NAME: VALUE"',
      summary: 'Field of the request.',
      default: [],
    }),
    timeout: Flags.integer({
      min: 1,
      helpValue: 'SECONDS',
      summary: 'Wait no longer. Default: what the function is configured with.',
    }),
    'aws-credentials': credentialsFlag,
    log: Flags.boolean({ char: 'l', summary: 'Also print what the platform logs (START, END, REPORT).' }),
  }

  async run(): Promise<InvokeJson> {
    const { args, flags } = await this.parse(Invoke)
    const directory = projectDirectory(flags.dir)
    const { invokeFunction } = await import('../app.ts')
    const sample =
      flags.event === undefined ? undefined : await eventOf({ ...flags, event: flags.event, set: flags.set })
    const screen = this.#screen(directory)
    const request = requestOf(flags)
    const result = await invokeFunction({
      directory,
      environment: process.env,
      name: args.function,
      payload:
        sample === undefined
          ? await payloadOf(flags.payload, request)
          : Buffer.from(JSON.stringify(sample.value)),
      event: sample,
      request,
      onEvent: (event) => {
        if (flags.log || !isPlatformLine(event)) screen.show(event)
      },
      configFile: optionalFile(flags.config),
      passCredentials: flags['aws-credentials'],
      timeoutMs: flags.timeout === undefined ? undefined : flags.timeout * 1000,
    }).finally(() => screen.flush())
    if (result.functionError !== undefined) process.exitCode = ERROR_CODES.FLEXI_FUNCTION_ERROR.exit
    if (!this.jsonEnabled()) printPayload(result.payload)
    const { contentType, functionError, log } = result
    return { payload: jsonOrText(new TextDecoder().decode(result.payload)), contentType, functionError, log }
  }

  /** What the function prints while it runs, on stderr. */
  #screen(directory: string): DevScreen {
    return new DevScreen({
      log: process.stderr,
      results: process.stderr,
      paint: paintFor(process.stderr, process.env),
      directory,
      level: 'debug',
      version: this.config.version,
      networkAddresses: [],
      keys: false,
    })
  }
}

interface RequestFlags {
  readonly method: string | undefined
  readonly path: string | undefined
  readonly header: readonly string[]
  readonly payload: string | undefined
}

/** A request when one of its flags was given; otherwise the provider decides how the payload reaches the function. */
function requestOf({ method, path, header, payload }: RequestFlags): InvokeOptions['request'] {
  if (method === undefined && path === undefined && header.length === 0) return undefined
  return {
    method: method ?? (payload === undefined ? 'GET' : 'POST'),
    path: path ?? '/',
    fields: fieldsOf(header),
  }
}

/** `Accept: text/plain` → `{ Accept: 'text/plain' }` @throws FlexiError FLEXI_USAGE without ":". */
function fieldsOf(headers: readonly string[]): Record<string, string> {
  const pairs = headers.map((header): [string, string] => {
    const at = header.indexOf(':')
    if (at < 1)
      throw new FlexiError('FLEXI_USAGE', `--header ${header} has no value`, {
        hint: 'Write --header "NAME: VALUE".',
      })
    return [header.slice(0, at).trim(), header.slice(at + 1).trim()]
  })
  return Object.fromEntries(pairs)
}

function isPlatformLine(event: DevEvent): boolean {
  return event.event === 'log' && event.stream === 'platform'
}

/** Bytes as they are for a pipe; a person also gets the line end that keeps the prompt in its place. */
function printPayload(payload: Uint8Array): void {
  process.stdout.write(payload)
  if (process.stdout.isTTY && payload.at(-1) !== 0x0a) process.stdout.write('\n')
}
