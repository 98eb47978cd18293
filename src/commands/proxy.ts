import { Command } from '@oclif/core/command'
import * as Flags from '@oclif/core/flags'

import { LOG_LEVELS, type LogLevel } from '../core/log.ts'
import type { AbsolutePath } from '../core/place.ts'
import { projectArgs, projectDirectory } from './options.ts'

export default class Proxy extends Command {
  static override readonly summary = 'Serve proxy.ini as FlexiLib does, in its place.'
  static override readonly description =
    'Reads proxy.ini and nothing else, listens on 0.0.0.0, loads a library when it is first asked for and again when its file changes, and prints a line for every request. What serves is a process of its own: when it ends by itself, the one you started launches another, and meanwhile connections wait. SIGHUP reads proxy.ini and every library again, SIGTERM and Ctrl-C finish what is running, Ctrl-C again quits at once.'
  static override readonly examples = [
    {
      description: 'Serve the proxy.ini of the folder you are in',
      command: '<%= config.bin %> <%= command.id %>',
    },
    {
      description: 'For this machine alone, on port 3000',
      command: '<%= config.bin %> <%= command.id %> --host 127.0.0.1 --port 3000',
    },
    {
      description: "With FlexiLib's variables",
      command: 'PORT=80 SERVER_THREAD_COUNT=8 <%= config.bin %> <%= command.id %> /srv/site',
    },
    {
      description: 'With a path for load balancers: /status/healthz',
      command: '<%= config.bin %> <%= command.id %> --control-prefix /status',
    },
  ]
  static override readonly args = projectArgs
  static override readonly flags = {
    port: Flags.integer({
      char: 'p',
      min: 0,
      max: 65_535,
      helpValue: 'PORT',
      summary:
        'Listen on this port; 0 takes any free one. Default: $PORT, else 8069. A taken port is an error.',
    }),
    host: Flags.string({
      helpValue: 'HOST',
      summary: 'Listen on this address alone. Default: $FLEXI_HOST, else 0.0.0.0, every IPv4 address.',
    }),
    https: Flags.boolean({
      summary: 'Speak HTTPS and HTTP/2, with a certificate of your own authority: see "flexi trust".',
    }),
    watch: Flags.boolean({
      allowNo: true,
      default: true,
      summary: 'Reload a library when its file changes. SIGHUP reloads in any case.',
    }),
    'watch-config': Flags.boolean({ summary: 'Read proxy.ini again when it is saved, too.' }),
    timeout: Flags.integer({
      min: 1,
      max: 2_000_000,
      default: 60,
      helpValue: 'SECONDS',
      summary: 'What a call of a library may take; its process is then killed, and the client gets 504.',
    }),
    'control-prefix': Flags.string({
      helpValue: 'PATH',
      summary: "Serve flexi's own paths (healthz, metrics) below this one. Default: nowhere.",
    }),
    'log-format': Flags.option({ options: ['flexilib', 'json'] as const, default: 'flexilib' })({
      summary: 'The line of a request on stdout.',
    }),
    'log-level': Flags.option({ options: Object.keys(LOG_LEVELS) as LogLevel[], default: 'info' })({
      summary: 'Print nothing less serious than this on stderr, and no requests above "info".',
    }),
    child: Flags.boolean({ hidden: true, summary: 'Be the process that serves: for the supervisor.' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Proxy)
    const directory = projectDirectory(args.dir)
    this.exit(flags.child ? await serve(directory, flags) : await supervise(flags, this.argv))
  }
}

interface ProxyFlags {
  readonly port?: number | undefined
  readonly host?: string | undefined
  readonly https: boolean
  readonly watch: boolean
  readonly 'watch-config': boolean
  readonly timeout: number
  readonly 'control-prefix'?: string | undefined
  readonly 'log-format': 'flexilib' | 'json'
  readonly 'log-level': LogLevel
}

async function supervise({ port, host }: ProxyFlags, argv: readonly string[]): Promise<number> {
  const [{ readServerSettings }, { superviseServer }] = await Promise.all([
    import('../config/settings.ts'),
    import('./proxy-supervisor.ts'),
  ])
  const settings = readServerSettings({
    flags: { port, host },
    // HOST is the machine's name in some shells, and FlexiLib does not look at it.
    environment: { ...process.env, HOST: undefined },
    project: {},
    defaultHost: '0.0.0.0',
  })
  // First, because what follows "--" is no flag.
  return superviseServer({ host: settings.host, port: settings.port, args: ['proxy', '--child', ...argv] })
}

async function serve(directory: AbsolutePath, flags: ProxyFlags): Promise<number> {
  const { serveProxy } = await import('./proxy-server.ts')
  return serveProxy({
    directory,
    watch: flags['watch-config'] || (flags.watch && 'code'),
    timeoutMs: flags.timeout * 1000,
    controlPrefix: flags['control-prefix'] ?? false,
    https: flags.https,
    logFormat: flags['log-format'],
    logLevel: flags['log-level'],
  })
}
