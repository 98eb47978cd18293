import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import type { DaemonAddress } from '../daemon/client/address.ts'
import type { AbsolutePath } from '../core/place.ts'
import { FlexiError } from '../core/errors.ts'
import { paintFor } from '../terminal/paint.ts'
import { printable } from '../terminal/printable.ts'
import { hideToken, warn } from './client-options.ts'
import { FlexiCommand } from './flexi-command.ts'
import { askSecret, canAsk } from './prompts.ts'

interface LoginResult {
  readonly daemon: string
  readonly user: string
  readonly permissions: readonly string[]
  /** Milliseconds since the epoch. */
  readonly expiresAt: number | undefined
  readonly file: AbsolutePath
}

export default class Login extends FlexiCommand {
  static override readonly summary = 'Remember a daemon, and the token to ask it with.'
  static override readonly description =
    'Asks the daemon whose token it is, and keeps it in credentials.json of your settings folder (FLEXI_CONFIG_DIR names another), which nobody else can read. The daemon is the one that later commands mean. Without --token the token is asked for, or read from standard input. A host without http:// or https:// is asked over https, this machine over http.'
  static override readonly examples = [
    {
      description: 'Be asked for the token',
      command: '<%= config.bin %> <%= command.id %> https://flexi.example.com',
    },
    {
      description: 'From a password manager',
      command: 'pass show flexi | <%= config.bin %> <%= command.id %> https://flexi.example.com',
    },
    { description: 'To a daemon of your own', command: '<%= config.bin %> <%= command.id %> localhost:8080' },
  ]
  static override readonly args = {
    url: Args.string({ ignoreStdin: true, required: true, description: 'where the daemon is' }),
  }
  static override readonly flags = {
    token: Flags.string({
      helpValue: 'TOKEN',
      summary: 'The token. Your shell may remember it: FLEXI_TOKEN and standard input are better.',
    }),
  }

  async run(): Promise<LoginResult> {
    const { args, flags } = await this.parse(Login)
    hideToken(flags.token)
    const { isLocal, parseDaemonAddress } = await import('../daemon/client/address.ts')
    const address = parseDaemonAddress(args.url)
    const token = await tokenFor(address, flags.token)
    if (!address.secure && !isLocal(address))
      warn(`${address.name} is not encrypted: whoever is on the way can read the token`)
    const result = await logIn(address, token)
    this.print(loginLines(result))
    return result
  }
}

/** From the flag, the environment, a prompt, or standard input. */
async function tokenFor(address: DaemonAddress, given: string | undefined): Promise<string> {
  const { requireToken } = await import('../daemon/client/session.ts')
  const known = given ?? process.env['FLEXI_TOKEN']
  if (known !== undefined && known !== '') return requireToken(known)
  return requireToken(canAsk() ? await askSecret(`Token for ${address.name}`) : await pipedToken())
}

async function pipedToken(): Promise<string> {
  if (process.stdin.isTTY)
    throw new FlexiError('FLEXI_USAGE', 'there is no token', {
      hint: 'Set FLEXI_TOKEN, or pipe the token in.',
    })
  const { text } = await import('node:stream/consumers')
  return await text(process.stdin)
}

/** What does not work is not kept. */
async function logIn(address: DaemonAddress, token: string): Promise<LoginResult> {
  const [{ openClient }, { knownCredentials }, { credentialsFile, writeCredentials }] = await Promise.all([
    import('../daemon/client/client.ts'),
    import('../daemon/client/session.ts'),
    import('../daemon/client/credentials.ts'),
  ])
  const { user, permissions, expiresAt } = await openClient({ address, token }).whoami()
  const file = credentialsFile(process.env)
  const { daemons } = await knownCredentials(process.env, warn)
  await writeCredentials(file, {
    current: address.name,
    daemons: { ...daemons, [address.name]: { token, user } },
  })
  return { daemon: address.name, user, permissions, expiresAt, file }
}

function loginLines({ daemon, user, permissions, expiresAt, file }: LoginResult): string[] {
  const paint = paintFor(process.stdout, process.env)
  const until =
    expiresAt === undefined
      ? ''
      : ` until ${new Date(expiresAt).toISOString().slice(0, 16).replace('T', ' ')} UTC`
  return [
    `${paint.green('✔')} ${paint.bold(daemon)} as ${paint.bold(printable(user))}${until}`,
    `  ${paint.dim(`may ${permissions.length === 0 ? 'nothing' : printable(permissions.join(', '))}; kept in ${file}`)}`,
  ]
}
