import { statSync } from 'node:fs'
import { resolve } from 'node:path'

import { Command } from '@oclif/core/command'
import * as Flags from '@oclif/core/flags'

import { FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'
import { dataDirectoryFlag, dataDirectoryOf } from './daemon-options.ts'
import { DETACHED } from './daemon-run.ts'
import type { DaemonServerOptions } from './daemon-server.ts'
import { optionalFile } from './options.ts'

const DEFAULT_PORT = '8080'
const DEFAULT_DOMAIN = 'localhost'

export default class DaemonStart extends Command {
  static override readonly summary = 'Serve deployed functions, and take deployments of more.'
  static override readonly description =
    'A function is served as NAME.DOMAIN, each of its versions as VERSION.NAME.DOMAIN, each alias as ALIAS.NAME.DOMAIN; the API is at the bare domain. The first start prints the root token, once. SIGHUP exchanges the process that serves without closing a connection; SIGTERM finishes what is running.'
  static override readonly examples = [
    {
      description: 'On this machine, for functions at http://NAME.localhost:8080',
      command: '<%= config.bin %> <%= command.id %>',
    },
    {
      description: 'On a server, with certificates of your own',
      command:
        '<%= config.bin %> <%= command.id %> --host 0.0.0.0 --port 443 --domain fn.example.com --cert fullchain.pem --key privkey.pem',
    },
    {
      description: 'In the background; "flexi daemon stop" ends it',
      command: '<%= config.bin %> <%= command.id %> --detach',
    },
  ]
  static override readonly flags = {
    ...dataDirectoryFlag,
    port: Flags.integer({
      char: 'p',
      min: 0,
      max: 65_535,
      helpValue: 'PORT',
      summary: `Listen on this port; 0 takes any free one. Default: $PORT, else ${DEFAULT_PORT}.`,
    }),
    host: Flags.string({
      helpValue: 'HOST',
      summary: 'Listen on this address; 0.0.0.0 is every network. Default: $HOST, else 127.0.0.1.',
    }),
    domain: Flags.string({
      helpValue: 'NAME',
      env: 'FLEXI_DOMAIN',
      summary: `Functions are served below this name. Default: $FLEXI_DOMAIN, else ${DEFAULT_DOMAIN}.`,
    }),
    detach: Flags.boolean({ char: 'd', summary: 'Run in the background, and return when it serves.' }),
    sandbox: Flags.option({ options: ['bwrap', 'none'] as const, default: 'bwrap' })({
      summary:
        'How functions are kept apart. "none" runs them as the daemon runs: for functions that you trust as yourself.',
    }),
    'first-uid': Flags.integer({
      min: 1000,
      helpValue: 'UID',
      summary: 'Where the user ids begin that functions run under, when the daemon is root.',
    }),
    'trust-key': Flags.string({
      multiple: true,
      helpValue: 'FILE',
      summary: 'A public key (Ed25519, PEM) whose signatures count. May be given several times.',
    }),
    'require-signature': Flags.boolean({
      dependsOn: ['trust-key'],
      summary: 'Refuse what no trusted key has signed.',
    }),
    cert: Flags.string({
      helpValue: 'FILE',
      dependsOn: ['key'],
      summary: 'Speak HTTPS with this certificate and its chain (PEM).',
    }),
    key: Flags.string({
      helpValue: 'FILE',
      dependsOn: ['cert'],
      summary: 'The key of the certificate (PEM).',
    }),
    'access-log': Flags.boolean({ summary: 'Print each request as a line of JSON on stdout.' }),
    child: Flags.boolean({ hidden: true, summary: 'Be the process that serves: for the supervisor.' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(DaemonStart)
    const directory = dataDirectoryOf(flags)
    if (flags.detach && process.env[DETACHED] === undefined) this.exit(await detach(directory, this.argv))
    if (!flags.child)
      this.exit(await supervise(directory, this.config.version, { ...flags, argv: this.argv }))
    const { serveDaemon } = await import('./daemon-server.ts')
    this.exit(await serveDaemon(serverOptions(directory, this.config.version, flags)))
  }
}

interface StartFlags {
  readonly port?: number | undefined
  readonly host?: string | undefined
  readonly domain?: string | undefined
  readonly sandbox: 'bwrap' | 'none'
  readonly 'first-uid'?: number | undefined
  readonly 'trust-key'?: readonly string[] | undefined
  readonly 'require-signature': boolean | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly 'access-log': boolean
}

function serverOptions(directory: AbsolutePath, version: string, flags: StartFlags): DaemonServerOptions {
  const { host, cert, key } = flags
  return {
    directory,
    version,
    host: host ?? process.env['HOST'] ?? '127.0.0.1',
    domain: domainOf(flags),
    sandbox: flags.sandbox,
    firstUid: flags['first-uid'],
    trustKeys: (flags['trust-key'] ?? []).map((file) => fileOrFolder(file)),
    requireSignature: flags['require-signature'] ?? false,
    certificate:
      cert === undefined || key === undefined
        ? undefined
        : { cert: optionalFile(cert) as AbsolutePath, key: optionalFile(key) as AbsolutePath },
    accessLog: flags['access-log'],
  }
}

/** @throws FlexiError FLEXI_USAGE for what is no host name. */
function domainOf({ domain = DEFAULT_DOMAIN }: StartFlags): string {
  const name = domain.toLowerCase().replace(/\.$/, '')
  const isName =
    name.length <= 200 && name.split('.').every((label) => /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(label))
  if (isName && !/^[\d.]+$/.test(name)) return name
  throw new FlexiError('FLEXI_USAGE', `${JSON.stringify(domain)} is no domain name`, {
    hint: 'Write a name such as fn.example.com, without a port; names below it must lead to this machine.',
  })
}

function fileOrFolder(file: string): AbsolutePath {
  const path = resolve(file)
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return path as AbsolutePath
  throw new FlexiError('FLEXI_NO_INPUT', `there is no file ${file}`)
}

async function detach(directory: AbsolutePath, argv: readonly string[]): Promise<number> {
  const { startDetached } = await import('./daemon-detach.ts')
  return startDetached(directory, argv)
}

async function supervise(
  directory: AbsolutePath,
  version: string,
  { argv, ...flags }: StartFlags & { readonly argv: readonly string[] },
): Promise<number> {
  // What is wrong with a flag is told before a process is started.
  const { domain } = serverOptions(directory, version, flags)
  const [{ readServerSettings }, { runDaemon }] = await Promise.all([
    import('../config/settings.ts'),
    import('./daemon-run.ts'),
  ])
  const settings = readServerSettings({
    flags: { port: flags.port, host: flags.host },
    environment: { ...process.env, PORT: process.env['PORT'] ?? DEFAULT_PORT },
    project: {},
  })
  const { host, port } = settings
  return runDaemon({ directory, version, domain, host, port, args: ['daemon', 'start', '--child', ...argv] })
}
