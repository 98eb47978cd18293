import * as Flags from '@oclif/core/flags'

import { FlexiError } from '../core/errors.ts'
import type { RunSettings } from '../daemon/client/shipment.ts'
import { daemonFlags, hideToken, warn } from './client-options.ts'
import { FlexiCommand } from './flexi-command.ts'
import { optionalFile, projectArgs, projectDirectory, sourceFlags, sourcesOf } from './options.ts'
import { durationFlag } from './time-options.ts'
import type { DeployResult } from './deploying.ts'

export default class Deploy extends FlexiCommand {
  static override readonly summary = 'Build a project, and run it on a daemon.'
  static override readonly description =
    'Builds what "flexi dev" serves, uploads what the daemon does not have yet, starts the new versions, checks that they answer, and then points the alias at all of them in one step. Requests under way end on the old version. When anything fails, the alias stays where it was, and the lines that the function printed say why. Content that did not change is no new version.'
  static override readonly examples = [
    { description: 'Deploy the folder you are in', command: '<%= config.bin %> <%= command.id %>' },
    {
      description: 'Beside what is live, to look at first',
      command: '<%= config.bin %> <%= command.id %> --alias preview ./shop',
    },
    { description: 'One function', command: '<%= config.bin %> <%= command.id %> --function hello' },
    { description: 'See what would happen', command: '<%= config.bin %> <%= command.id %> --dry-run' },
    {
      description: 'Signed, with at least two instances and a health check',
      command: '<%= config.bin %> <%= command.id %> --sign release.pem --min 2 --health /health',
    },
  ]
  static override readonly args = projectArgs
  static override readonly flags = {
    ...sourceFlags,
    ...daemonFlags,
    alias: Flags.string({ char: 'a', default: 'live', helpValue: 'NAME', summary: 'The alias to move.' }),
    function: Flags.string({
      char: 'f',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'NAME',
      summary: 'Only this function, and no routes. May be repeated.',
    }),
    project: Flags.string({
      helpValue: 'NAME',
      summary: 'Name of the project. Default: the name of the folder.',
    }),
    domain: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'HOST',
      summary: "Serve the project's routes at this host name too. May be repeated.",
    }),
    'env-file': Flags.string({
      helpValue: 'FILE',
      summary: 'Read the environment of the functions from this file too.',
    }),
    network: Flags.option({
      options: ['egress', 'none', 'host'] as const,
      summary:
        'What the functions reach: the outside but not the machine (egress, the default), nothing, or all that the machine does.',
    })(),
    min: Flags.integer({
      min: 0,
      max: 1000,
      helpValue: 'N',
      summary: 'Instances that run without being asked. Default: 0, so that the first request starts one.',
    }),
    max: Flags.integer({ min: 1, max: 1000, helpValue: 'N', summary: 'Instances at once.' }),
    idle: Flags.string({
      helpValue: 'TIME',
      summary: 'Stop instances above --min after so long without a request: 90s, 10m.',
    }),
    health: Flags.string({
      helpValue: 'PATH',
      summary: 'Must answer with a status below 500 before the alias moves.',
    }),
    'health-timeout': Flags.string({
      helpValue: 'TIME',
      summary: 'How long that may take, or what flexi.jsonc says of its health. Default: 30s.',
    }),
    sign: Flags.string({
      helpValue: 'KEY',
      summary:
        'Sign what is uploaded with this Ed25519 key, a PEM file. Its passphrase: $FLEXI_SIGN_PASSPHRASE.',
    }),
    'dry-run': Flags.boolean({
      default: false,
      summary: 'Build, and ask the daemon what it would do. Nothing is uploaded or changed.',
    }),
  }

  async run(): Promise<DeployResult> {
    const { args, flags } = await this.parse(Deploy)
    hideToken(flags.token)
    const { deployProject } = await import('./deploying.ts')
    const { daemon, token } = flags
    return await deployProject({
      session: { daemon, token, environment: process.env, onWarning: warn },
      source: {
        directory: projectDirectory(args.dir),
        ...sourcesOf(flags),
        envFile: optionalFile(flags['env-file']),
        project: flags.project,
        functions: flags.function,
      },
      alias: flags.alias,
      domains: flags.domain,
      settings: settingsOf(flags),
      signingKey: optionalFile(flags.sign),
      dryRun: flags['dry-run'],
      quiet: this.jsonEnabled(),
    })
  }
}

interface SettingFlags {
  readonly network: RunSettings['network']
  readonly min: number | undefined
  readonly max: number | undefined
  readonly idle: string | undefined
  readonly health: string | undefined
  readonly 'health-timeout': string | undefined
}

/** What is not said is left to flexi.jsonc, and then to the daemon. @throws FlexiError FLEXI_USAGE. */
function settingsOf(flags: SettingFlags): RunSettings {
  const { network, min, max, idle, health } = flags
  const timeout = flags['health-timeout']
  return {
    network,
    min,
    max,
    idleMs: idle === undefined ? undefined : durationFlag('idle', idle),
    health: health === undefined ? undefined : healthPath(health),
    healthTimeoutMs: timeout === undefined ? undefined : durationFlag('health-timeout', timeout),
  }
}

function healthPath(path: string): string {
  if (/^\/[\x21-\x7e]*$/.test(path)) return path
  throw new FlexiError('FLEXI_USAGE', `--health ${path} is no path`, { hint: 'Begin it with "/": /health.' })
}
