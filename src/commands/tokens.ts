import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import { FlexiError } from '../core/errors.ts'
import type { Call } from '../daemon/api/schemas/operations.ts'
import { age, dateTime } from '../terminal/age.ts'
import { paintFor } from '../terminal/paint.ts'
import { printable } from '../terminal/printable.ts'
import { table } from '../terminal/table.ts'
import { daemonFlags, withDaemon } from './client-options.ts'
import { FlexiCommand } from './flexi-command.ts'
import { parseGroup } from './group-options.ts'
import { durationFlag } from './time-options.ts'

const DAY_MS = 86_400_000

export class TokensList extends FlexiCommand {
  static override readonly summary = 'List tokens: your own, or all for admins.'
  static override readonly description = 'A token itself is shown once, when it is made, and never again.'
  static override readonly examples = [
    { description: 'Those you may see', command: '<%= config.bin %> tokens list' },
    { description: 'Of a user', command: '<%= config.bin %> tokens list --user ada' },
  ]
  static override readonly flags = {
    ...daemonFlags,
    user: Flags.string({ char: 'u', helpValue: 'NAME', summary: 'Only those of this user.' }),
  }

  async run(): Promise<Call<'tokens'>['answer']> {
    const { flags } = await this.parse(TokensList)
    const list = await withDaemon(flags, (client) => client.tokens(flags.user))
    const now = Date.now()
    const rows = list.map(({ id, user, label, scopes, expiresAt, usedAt }) => [
      id,
      user,
      label,
      scopes?.join(', ') ?? 'all',
      expiresAt === undefined ? 'never' : age(expiresAt, now),
      usedAt === undefined ? 'never' : age(usedAt, now),
    ])
    const paint = paintFor(process.stdout, process.env)
    const heading = ['ID', 'USER', 'LABEL', 'SCOPES', 'ENDS', 'USED']
    this.print(table(heading, rows, { paint, indent: 0, columns: [paint.cyan] }))
    return list
  }
}

export class TokensCreate extends FlexiCommand {
  static override readonly summary = 'Make a token, and print it: once.'
  static override readonly description =
    'The token alone is on standard output. It can do at most what its user can, and less with --scope.'
  static override readonly examples = [
    { description: 'For yourself', command: '<%= config.bin %> tokens create --label laptop' },
    {
      description: 'For a pipeline that deploys, for 90 days',
      command:
        '<%= config.bin %> tokens create --user ci --label github --ends 90d --scope write --scope execute',
    },
  ]
  static override readonly flags = {
    ...daemonFlags,
    user: Flags.string({ char: 'u', helpValue: 'NAME', summary: 'Whose token it is. Default: yours.' }),
    label: Flags.string({ char: 'l', helpValue: 'TEXT', summary: 'What to call it in lists.' }),
    ends: Flags.string({
      helpValue: 'TIME',
      summary:
        'How long it is good for: 12h, 90d. Default: 10d, or as long as your own token where that is less.',
    }),
    scope: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'GROUP',
      summary: 'What of its user it may use: a permission, or a group. May be repeated. Default: all.',
    }),
  }

  async run(): Promise<Call<'createToken'>['answer']> {
    const { flags } = await this.parse(TokensCreate)
    const { user, label, ends, scope } = flags
    const days = ends === undefined ? undefined : durationFlag('ends', ends) / DAY_MS
    if (days !== undefined && days <= 0)
      throw new FlexiError('FLEXI_USAGE', 'a token has to be good for some time')
    const scopes = scope?.map(parseGroup)
    const made = await withDaemon(flags, (client) => client.createToken({ user, label, days, scopes }))
    if (!this.jsonEnabled()) {
      const { id, user: whose, expiresAt } = made.record
      const until = expiresAt === undefined ? '' : `, until ${dateTime(expiresAt)}`
      process.stderr.write(`token ${printable(`${id} of ${whose}`)}${until}; it is not shown again:\n`)
      this.print([printable(made.token)])
    }
    return made
  }
}

export class TokensRevoke extends FlexiCommand {
  static override readonly summary = 'End a token, at once.'
  static override readonly examples = [
    { description: 'By the id that the list shows', command: '<%= config.bin %> tokens revoke 7Qm2xK' },
  ]
  static override readonly hiddenAliases = ['tokens:remove', 'tokens:delete', 'tokens:rm']
  static override readonly args = {
    id: Args.string({ ignoreStdin: true, required: true, description: 'its id, not the token itself' }),
  }
  static override readonly flags = daemonFlags

  async run(): Promise<{ readonly revoked: string }> {
    const { args, flags } = await this.parse(TokensRevoke)
    // A token given by mistake is neither sent on in an address nor shown.
    if (args.id.length > 32)
      throw new FlexiError('FLEXI_USAGE', 'that is no id of a token', {
        hint: 'See "flexi tokens list" for the ids.',
      })
    await withDaemon(flags, (client) => client.revokeToken(args.id))
    this.print([`revoked: ${args.id}`])
    return { revoked: args.id }
  }
}
