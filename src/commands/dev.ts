import { Command } from '@oclif/core/command'
import * as Flags from '@oclif/core/flags'

import type { AccessRecord } from '../core/events.ts'
import { LOG_LEVELS, type LogLevel } from '../core/log.ts'
import type { DevOutput } from './dev-session.ts'
import {
  credentialsFlag,
  optionalFile,
  projectArgs,
  projectDirectory,
  sourceFlags,
  sourcesOf,
} from './options.ts'

const INSPECT_PORT = '9229'
const LOG_FORMATS = ['pretty', 'json', 'flexilib'] as const

export default class Dev extends Command {
  static override readonly summary = 'Serve everything found in a folder, and reload it as you type.'
  static override readonly description =
    'Serves the functions, Workers, native libraries, folders and upstreams that flexi.jsonc, proxy.ini, wrangler.jsonc, template.yaml and serverless.yml name. A saved file is served by the next request; a broken one leaves the last good version serving and says what is wrong. Ctrl-C finishes what is running, twice quits at once; SIGTERM finishes what is running; SIGHUP reads everything again; press h for the keys.'
  static override readonly examples = [
    { description: 'Serve the folder you are in', command: '<%= config.bin %> <%= command.id %>' },
    {
      description: 'On a port of your own, and open the browser',
      command: '<%= config.bin %> <%= command.id %> --port 3000 --open',
    },
    {
      description: 'In an empty folder, for functions that come through the Lambda API',
      command: '<%= config.bin %> <%= command.id %> --empty',
    },
    { description: 'For a debugger', command: '<%= config.bin %> <%= command.id %> --inspect ./api' },
    {
      description: 'For a program: one JSON object a line, the first is "ready"',
      command: '<%= config.bin %> <%= command.id %> --json --port 0',
    },
  ]
  static override readonly args = projectArgs
  static override readonly flags = {
    ...sourceFlags,
    port: Flags.integer({
      char: 'p',
      min: 0,
      max: 65_535,
      helpValue: 'PORT',
      summary:
        'Listen on this port and on no other; 0 takes any free one. Default: $PORT, else that of flexi.jsonc, else 8069 or the next free one.',
    }),
    host: Flags.string({
      helpValue: 'HOST',
      summary: 'Listen on this address; 0.0.0.0 is every network. Default: $HOST, else 127.0.0.1.',
    }),
    https: Flags.boolean({
      allowNo: true,
      summary:
        'Speak HTTPS and HTTP/2, with a certificate of your own authority unless flexi.jsonc names one.',
    }),
    inspect: Flags.integer({
      min: 0,
      max: 65_535,
      helpLabel: '--inspect',
      helpValue: '[PORT]',
      summary: `Let a debugger connect. Default port: ${INSPECT_PORT}; each further function takes the next one.`,
    }),
    'inspect-brk': Flags.integer({
      min: 0,
      max: 65_535,
      helpLabel: '--inspect-brk',
      helpValue: '[PORT]',
      exclusive: ['inspect'],
      summary: 'The same, and wait for it: a Lambda stops before the first line of its code.',
    }),
    'env-file': Flags.string({
      helpValue: 'FILE',
      summary: 'Read the environment of the functions from this file too.',
    }),
    'aws-credentials': credentialsFlag,
    empty: Flags.boolean({
      summary: 'Serve a folder with nothing in it: its Lambda functions come through the API.',
    }),
    watch: Flags.boolean({ allowNo: true, default: true, summary: 'Reload what is saved.' }),
    open: Flags.boolean({ char: 'o', summary: 'Open the browser when ready.' }),
    json: Flags.boolean({ summary: 'Print every event as one JSON object a line on stdout.' }),
    'log-format': Flags.option({ options: LOG_FORMATS, default: 'pretty' })({
      summary: 'The line of a request: for people, or for programs on stdout.',
      exclusive: ['json'],
    }),
    'log-level': Flags.option({ options: Object.keys(LOG_LEVELS) as LogLevel[], default: 'info' })({
      summary: 'Print nothing less serious than this.',
    }),
    'control-prefix': Flags.string({
      helpValue: 'PATH',
      summary: "Where flexi's own paths are. Default: /_flexi",
    }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Dev, inspectWithPort(this.argv))
    const directory = projectDirectory(args.dir)
    const options = {
      directory,
      mode: 'dev',
      port: flags.port,
      host: flags.host,
      https: flags.https,
      portIsFixed: false,
      ...sourcesOf(flags),
      envFile: optionalFile(flags['env-file']),
      watch: flags.watch,
      inspectPort: flags.inspect ?? flags['inspect-brk'],
      passCredentials: flags['aws-credentials'],
      breakAtStart: flags['inspect-brk'] !== undefined,
      mayBeEmpty: flags.empty,
      controlPrefix: flags['control-prefix'],
      logLevel: flags['log-level'],
      startedAt: performance.timeOrigin,
    } as const
    const { serveUntilStopped } = await import('./dev-session.ts')
    const { flexilibLine, startApp } = await import('../app.ts')
    const exit = await serveUntilStopped((onEvent) => startApp({ ...options, onEvent }), {
      json: flags.json,
      accessFormat: accessFormat(flags['log-format'], flexilibLine),
      level: flags['log-level'],
      version: this.config.version,
      directory,
      open: flags.open,
    })
    this.exit(exit)
  }
}

function accessFormat(
  name: (typeof LOG_FORMATS)[number],
  flexilibLine: (record: AccessRecord) => string,
): DevOutput['accessFormat'] {
  switch (name) {
    case 'pretty':
      return undefined
    case 'json':
      return (record, time) => JSON.stringify({ time: time.toISOString(), ...record })
    case 'flexilib':
      return flexilibLine
  }
}

const INSPECT_FLAGS = new Set(['--inspect', '--inspect-brk'])

/** `--inspect` alone has a port too; oclif knows no flags with an optional value. */
function inspectWithPort(argv: readonly string[]): string[] {
  const end = argv.indexOf('--')
  return argv.map((word, index) =>
    INSPECT_FLAGS.has(word) && (end === -1 || index < end) ? `${word}=${INSPECT_PORT}` : word,
  )
}
