import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import { FlexiError } from '../core/errors.ts'
import type { Call } from '../daemon/api/schemas/operations.ts'
import { age } from '../terminal/age.ts'
import { aliasText } from '../terminal/function-lines.ts'
import { paintFor } from '../terminal/paint.ts'
import { printable } from '../terminal/printable.ts'
import { table } from '../terminal/table.ts'
import { daemonFlags, functionArg, withFunction, yesFlag } from './client-options.ts'
import { FlexiCommand } from './flexi-command.ts'
import { confirm } from './prompts.ts'

const aliasArg = Args.string({ ignoreStdin: true, required: true, description: 'name of the alias' })

type Alias = Call<'setAlias'>['answer']

export class AliasList extends FlexiCommand {
  static override readonly summary = 'List the aliases of a function, and where they lead.'
  static override readonly examples = [
    { description: 'List them', command: '<%= config.bin %> alias list hello' },
  ]
  static override readonly args = { function: functionArg }
  static override readonly flags = daemonFlags

  async run(): Promise<readonly Alias[]> {
    const { args, flags } = await this.parse(AliasList)
    const { aliases } = await withFunction(flags, args.function, (client) => client.function(args.function))
    const now = Date.now()
    const rows = aliases.map((one) => [one.alias, aliasText(one), age(one.movedAt, now), one.movedBy])
    const paint = paintFor(process.stdout, process.env)
    this.print(table(['ALIAS', 'VERSION', 'MOVED', 'BY'], rows, { paint, indent: 0, columns: [paint.cyan] }))
    return aliases
  }
}

export class AliasSet extends FlexiCommand {
  static override readonly summary =
    'Point an alias at a version, and a share of its requests at a second one.'
  static override readonly description =
    'What does not run yet is started first; requests under way end where they began. A client that sends a field or a cookie called flexi-version-key keeps to one of the two.'
  static override readonly examples = [
    { description: 'Move it', command: '<%= config.bin %> alias set hello live v3' },
    {
      description: 'A canary: 5 % of all requests go to v4',
      command: '<%= config.bin %> alias set hello live v3 --second v4 --weight 5%',
    },
    { description: 'Go through with it', command: '<%= config.bin %> alias set hello live v4' },
  ]
  static override readonly args = {
    function: functionArg,
    alias: aliasArg,
    version: Args.string({ ignoreStdin: true, required: true, description: 'the version it leads to' }),
  }
  static override readonly flags = {
    ...daemonFlags,
    second: Flags.string({
      helpValue: 'VERSION',
      dependsOn: ['weight'],
      summary: 'A second version: the canary.',
    }),
    weight: Flags.string({
      helpValue: 'SHARE',
      dependsOn: ['second'],
      summary: 'Its share of the requests: 5%, or 0.05.',
    }),
  }

  async run(): Promise<Alias> {
    const { args, flags } = await this.parse(AliasSet)
    const { second: version } = flags
    const second = version === undefined ? undefined : { version, weight: weightFlag(flags.weight ?? '') }
    const moved = await withFunction(flags, args.function, (client) =>
      client.setAlias(args.function, args.alias, { version: args.version, second }),
    )
    this.print([printable(`${args.function}@${moved.alias} → ${aliasText(moved)}`)])
    return moved
  }
}

/** `5%` or `0.05` → 0.05. A number without "%" that could mean either is refused. @throws FlexiError FLEXI_USAGE. */
export function weightFlag(text: string): number {
  const [, number = '', sign] = /^(\d+(?:\.\d+)?|\.\d+) ?(%?)$/.exec(text) ?? []
  const weight = sign === '%' ? Number(number) / 100 : Number(number)
  const isClear = sign === '%' || weight < 1
  if (number !== '' && weight >= 0 && weight <= 1 && isClear) return weight
  throw new FlexiError('FLEXI_USAGE', `--weight ${text} is no share`, {
    hint: 'Write a percentage, 5%, or a number below 1, 0.05.',
  })
}

export class AliasRemove extends FlexiCommand {
  static override readonly summary = 'Remove an alias; the versions stay.'
  static override readonly description =
    'Its host name answers 403 from now on. Asks first on a terminal; elsewhere it takes --yes.'
  static override readonly examples = [
    { description: 'Remove it', command: '<%= config.bin %> alias remove hello preview' },
  ]
  static override readonly hiddenAliases = ['alias:delete', 'alias:rm']
  static override readonly args = { function: functionArg, alias: aliasArg }
  static override readonly flags = { ...daemonFlags, yes: yesFlag }

  async run(): Promise<{ readonly function: string; readonly alias: string }> {
    const { args, flags } = await this.parse(AliasRemove)
    await withFunction(flags, args.function, async (client) => {
      await confirm(`Remove the alias ${args.alias} of ${args.function}?`, flags.yes)
      await client.removeAlias(args.function, args.alias)
    })
    this.print([`removed: ${args.function}@${args.alias}`])
    return { function: args.function, alias: args.alias }
  }
}

export class AliasHistory extends FlexiCommand {
  static override readonly summary = 'Show where an alias led, newest first.'
  static override readonly examples = [
    { description: 'Of what is live', command: '<%= config.bin %> alias history hello live' },
  ]
  static override readonly args = { function: functionArg, alias: aliasArg }
  static override readonly flags = daemonFlags

  async run(): Promise<Call<'aliasHistory'>['answer']> {
    const { args, flags } = await this.parse(AliasHistory)
    const moves = await withFunction(flags, args.function, (client) =>
      client.aliasHistory(args.function, args.alias),
    )
    const now = Date.now()
    const rows = moves.map((one) => [age(one.at, now), aliasText(one), one.by])
    const paint = paintFor(process.stdout, process.env)
    this.print(table(['WHEN', 'VERSION', 'BY'], rows, { paint, indent: 0 }))
    return moves
  }
}

export class Rollback extends FlexiCommand {
  static override readonly summary = 'Point an alias back at the version it led to before.'
  static override readonly description =
    'The version before is usually still warm, so that this takes one moment. A canary ends at its first version. Twice brings back what was rolled back.'
  static override readonly examples = [
    { description: 'What is live', command: '<%= config.bin %> rollback hello' },
    { description: 'To a version', command: '<%= config.bin %> rollback hello --to v3' },
  ]
  static override readonly args = { function: functionArg }
  static override readonly flags = {
    ...daemonFlags,
    alias: Flags.string({ char: 'a', default: 'live', helpValue: 'NAME', summary: 'The alias to move.' }),
    to: Flags.string({ helpValue: 'VERSION', summary: 'The version. Default: the one before.' }),
  }

  async run(): Promise<Alias> {
    const { args, flags } = await this.parse(Rollback)
    const moved = await withFunction(flags, args.function, (client) =>
      client.rollback(args.function, flags.alias, flags.to),
    )
    this.print([printable(`${args.function}@${moved.alias} → ${aliasText(moved)}`)])
    return moved
  }
}
