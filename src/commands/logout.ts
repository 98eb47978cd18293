import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import type { Credentials } from '../daemon/client/credentials.ts'
import { FlexiError } from '../core/errors.ts'
import { warn } from './client-options.ts'
import { FlexiCommand } from './flexi-command.ts'

export default class Logout extends FlexiCommand {
  static override readonly summary = 'Forget a daemon and its token.'
  static override readonly description =
    'Without a URL, the one that commands mean now. The token stays valid for who has it: --revoke asks the daemon to end it.'
  static override readonly examples = [
    { description: 'The daemon you use', command: '<%= config.bin %> <%= command.id %>' },
    { description: 'And make the token worthless', command: '<%= config.bin %> <%= command.id %> --revoke' },
  ]
  static override readonly args = {
    url: Args.string({ ignoreStdin: true, description: 'where the daemon is' }),
  }
  static override readonly flags = {
    revoke: Flags.boolean({ default: false, summary: 'Revoke the token too.' }),
  }

  async run(): Promise<{ readonly daemon: string; readonly revoked: boolean }> {
    const { args, flags } = await this.parse(Logout)
    const { knownCredentials } = await import('../daemon/client/session.ts')
    const credentials = await knownCredentials(process.env, warn)
    const daemon = await chosen(credentials, args.url)
    if (flags.revoke) await revoke(daemon, credentials)
    await forget(daemon, credentials)
    this.print([`forgotten: ${daemon}${flags.revoke ? ', and its token is worth nothing any more' : ''}`])
    return { daemon, revoked: flags.revoke }
  }
}

/** @throws FlexiError FLEXI_NO_INPUT when there is no such login. */
async function chosen({ current, daemons }: Credentials, url: string | undefined): Promise<string> {
  const { parseDaemonAddress } = await import('../daemon/client/address.ts')
  const name = url === undefined ? current : parseDaemonAddress(url).name
  if (name !== undefined && Object.hasOwn(daemons, name)) return name
  const known = Object.keys(daemons).join(', ')
  throw new FlexiError(
    'FLEXI_NO_INPUT',
    name === undefined ? 'you are not logged in' : `you are not logged in to ${name}`,
    {
      hint: known === '' ? 'There is no login at all.' : `Logins: ${known}.`,
    },
  )
}

async function revoke(daemon: string, { daemons }: Credentials): Promise<void> {
  const [{ parseDaemonAddress }, { openClient }] = await Promise.all([
    import('../daemon/client/address.ts'),
    import('../daemon/client/client.ts'),
  ])
  const client = openClient({ address: parseDaemonAddress(daemon), token: daemons[daemon]?.token })
  const { token } = await client.whoami()
  await client.revokeToken(token)
}

async function forget(daemon: string, { current, daemons }: Credentials): Promise<void> {
  const { credentialsFile, writeCredentials } = await import('../daemon/client/credentials.ts')
  const rest = Object.fromEntries(Object.entries(daemons).filter(([name]) => name !== daemon))
  await writeCredentials(credentialsFile(process.env), {
    current: current === daemon ? Object.keys(rest)[0] : current,
    daemons: rest,
  })
}
