import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import { FlexiError } from '../core/errors.ts'
import { closest } from '../core/suggest.ts'
import type { Call } from '../daemon/api/schemas/operations.ts'
import type { DaemonClient } from '../daemon/client/client.ts'
import type { Group } from '../daemon/model.ts'
import { age } from '../terminal/age.ts'
import { paintFor } from '../terminal/paint.ts'
import { printable } from '../terminal/printable.ts'
import { table } from '../terminal/table.ts'
import { type DaemonFlags, daemonFlags, withDaemon, yesFlag } from './client-options.ts'
import { FlexiCommand } from './flexi-command.ts'
import { parseGroup } from './group-options.ts'
import { confirm } from './prompts.ts'

const userArg = Args.string({ ignoreStdin: true, required: true, description: 'name of the user' })

const groupsFlag = Flags.string({
  char: 'g',
  multiple: true,
  multipleNonGreedy: true,
  helpValue: 'GROUP',
  summary: 'A permission (read, write, execute, remove, admin) or a group (custom:NAME). May be repeated.',
})

interface User {
  readonly name: string
  readonly groups: readonly Group[]
}

/** Asks about one user; an unknown one is answered with the one that was meant. */
async function withUser<T>(
  flags: DaemonFlags,
  name: string,
  work: (client: DaemonClient) => Promise<T>,
): Promise<T> {
  return await withDaemon(flags, async (client) => {
    try {
      return await work(client)
    } catch (error) {
      if (!(error instanceof FlexiError) || error.code !== 'FLEXI_NO_INPUT' || error.hint !== undefined)
        throw error
      const users = await client.users().catch(() => [])
      const near = closest(
        name,
        users.map((one) => one.name),
      )
      throw new FlexiError(error.code, error.message, {
        cause: error,
        hint: near === undefined ? 'Run "flexi users list" for those there are.' : `Did you mean "${near}"?`,
      })
    }
  })
}

export class UsersList extends FlexiCommand {
  static override readonly summary = 'List the users of a daemon.'
  static override readonly examples = [{ description: 'All', command: '<%= config.bin %> users list' }]
  static override readonly flags = daemonFlags

  async run(): Promise<Call<'users'>['answer']> {
    const { flags } = await this.parse(UsersList)
    const list = await withDaemon(flags, (client) => client.users())
    const now = Date.now()
    const rows = list.map(({ name, groups, createdAt }) => [name, groups.join(', '), age(createdAt, now)])
    const paint = paintFor(process.stdout, process.env)
    this.print(table(['USER', 'GROUPS', 'ADDED'], rows, { paint, indent: 0, columns: [paint.cyan] }))
    return list
  }
}

export class UsersShow extends FlexiCommand {
  static override readonly summary = 'Show the groups of a user.'
  static override readonly examples = [{ description: 'Of ada', command: '<%= config.bin %> users show ada' }]
  static override readonly args = { user: userArg }
  static override readonly flags = daemonFlags

  async run(): Promise<User> {
    const { args, flags } = await this.parse(UsersShow)
    const user = await withUser(flags, args.user, (client) => client.user(args.user))
    this.print(user.groups.map(printable))
    return user
  }
}

export class UsersAdd extends FlexiCommand {
  static override readonly summary = 'Add a user.'
  static override readonly description =
    'Nobody gives what they do not have. A user can do nothing before there is a token: see "flexi tokens create".'
  static override readonly examples = [
    { description: 'Who may deploy', command: '<%= config.bin %> users add ada -g write -g execute' },
    {
      description: 'A member of a team',
      command: '<%= config.bin %> users add bob -g read -g custom:shop-team',
    },
  ]
  static override readonly args = { user: userArg }
  static override readonly flags = { ...daemonFlags, group: groupsFlag }

  async run(): Promise<User> {
    const { args, flags } = await this.parse(UsersAdd)
    const groups = (flags.group ?? []).map(parseGroup)
    await withDaemon(flags, (client) => client.addUser(args.user, groups))
    this.print([`added: ${args.user}${groups.length === 0 ? ', in no group' : ` (${groups.join(', ')})`}`])
    return { name: args.user, groups }
  }
}

export class UsersModify extends FlexiCommand {
  static override readonly summary = 'Change the groups of a user.'
  static override readonly description =
    '--add and --take change some, --group names all there are to be. What a token of theirs may do changes at once.'
  static override readonly examples = [
    {
      description: 'One more, one less',
      command: '<%= config.bin %> users modify ada --add remove --take custom:shop-team',
    },
    { description: 'Exactly these', command: '<%= config.bin %> users modify ada -g read' },
    { description: 'None', command: '<%= config.bin %> users modify ada --none' },
  ]
  static override readonly args = { user: userArg }
  static override readonly flags = {
    ...daemonFlags,
    group: groupsFlag,
    add: Flags.string({
      exclusive: ['group', 'none'],
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'GROUP',
      summary: 'Put them into this group too.',
    }),
    take: Flags.string({
      exclusive: ['group', 'none'],
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'GROUP',
      summary: 'Take them out of this group.',
    }),
    none: Flags.boolean({
      default: false,
      summary: 'Take them out of all groups.',
      exclusive: ['group'],
    }),
  }

  async run(): Promise<User> {
    const { args, flags } = await this.parse(UsersModify)
    const wish = {
      all: flags.none ? [] : flags.group?.map(parseGroup),
      add: (flags.add ?? []).map(parseGroup),
      take: new Set((flags.take ?? []).map(parseGroup)),
    }
    if (wish.all === undefined && wish.add.length === 0 && wish.take.size === 0)
      throw new FlexiError('FLEXI_USAGE', 'nothing is to be changed', {
        hint: 'Use --add, --take, --group or --none.',
      })
    const groups = await withUser(flags, args.user, async (client) => {
      const after = wish.all ?? changed((await client.user(args.user)).groups, wish)
      await client.modifyUser(args.user, after)
      return after
    })
    this.print([`${args.user}: ${groups.length === 0 ? 'no group' : printable(groups.join(', '))}`])
    return { name: args.user, groups }
  }
}

function changed(
  before: readonly Group[],
  { add, take }: { readonly add: readonly Group[]; readonly take: ReadonlySet<Group> },
): Group[] {
  return [...new Set([...before, ...add])].filter((group) => !take.has(group))
}

export class UsersRemove extends FlexiCommand {
  static override readonly summary = 'Remove a user and all their tokens.'
  static override readonly description =
    'Asks first on a terminal; elsewhere it takes --yes. What they deployed stays.'
  static override readonly examples = [
    { description: 'Remove ada', command: '<%= config.bin %> users remove ada' },
  ]
  static override readonly hiddenAliases = ['users:delete', 'users:rm']
  static override readonly args = { user: userArg }
  static override readonly flags = { ...daemonFlags, yes: yesFlag }

  async run(): Promise<{ readonly removed: string }> {
    const { args, flags } = await this.parse(UsersRemove)
    await withUser(flags, args.user, async (client) => {
      await confirm(`Remove ${args.user} and all tokens of theirs?`, flags.yes)
      await client.removeUser(args.user)
    })
    this.print([`removed: ${args.user}`])
    return { removed: args.user }
  }
}
