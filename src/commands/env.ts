import * as Flags from '@oclif/core/flags'

import { FlexiError } from '../core/errors.ts'
import type { Call } from '../daemon/api/schemas/operations.ts'
import { age } from '../terminal/age.ts'
import { paintFor } from '../terminal/paint.ts'
import { table } from '../terminal/table.ts'
import { daemonFlags, functionArg, warnOfUnknown, withFunction } from './client-options.ts'
import { FlexiCommand } from './flexi-command.ts'
import { optionalFile } from './options.ts'
import { changedNames, fileValues, joined, namesOf, noVariables, unsetVariables } from './variable-options.ts'

type Variables = Call<'variables'>['answer']

export class EnvList extends FlexiCommand {
  static override readonly summary = 'List the variables of a function, secrets without their values.'
  static override readonly examples = [
    { description: 'List them', command: '<%= config.bin %> env list hello' },
  ]
  static override readonly args = { function: functionArg }
  static override readonly flags = daemonFlags

  async run(): Promise<Variables> {
    const { args, flags } = await this.parse(EnvList)
    const list = await withFunction(flags, args.function, (client) => client.variables(args.function))
    const now = Date.now()
    const rows = list.map(({ name, secret, value, setAt, setBy }) => [
      name,
      secret ? '(secret)' : (value ?? ''),
      age(setAt, now),
      setBy,
    ])
    const paint = paintFor(process.stdout, process.env)
    this.print(table(['NAME', 'VALUE', 'SET', 'BY'], rows, { paint, indent: 0, columns: [paint.cyan] }))
    return list
  }
}

export class EnvSet extends FlexiCommand {
  static override readonly summary = 'Set variables of a function.'
  static override readonly description =
    'They win over what was deployed with it. Instances that run are exchanged for ones that see them, without a failed request. For what nobody may read there is "flexi secrets set".'
  static override readonly usage = 'env set FUNCTION NAME=VALUE...'
  static override readonly examples = [
    { description: 'Two', command: '<%= config.bin %> env set hello GREETING=Hi LOG_LEVEL=debug' },
    { description: 'Those of a file', command: '<%= config.bin %> env set hello --env-file .env.production' },
  ]
  static override readonly strict = false
  static override readonly args = { function: functionArg }
  static override readonly flags = {
    ...daemonFlags,
    'env-file': Flags.string({ helpValue: 'FILE', summary: 'Set all that this file holds.' }),
  }

  async run(): Promise<{ readonly function: string; readonly set: readonly string[] }> {
    const { args, argv, flags } = await this.parse(EnvSet)
    const values = {
      ...(await fileValues(optionalFile(flags['env-file']))),
      ...pairs(argv.slice(1).map(String)),
    }
    const set = changedNames(values, 'Write NAME=VALUE behind the function, or name a file with --env-file.')
    await withFunction(flags, args.function, async (client) => {
      await client.setVariables(args.function, { secret: false, values })
      await warnOfUnknown(client, args.function)
    })
    this.print([`set: ${joined(set)}`])
    return { function: args.function, set }
  }
}

/** `A=1 B=x=y` → { A: '1', B: 'x=y' } @throws FlexiError FLEXI_USAGE. */
function pairs(words: readonly string[]): Record<string, string> {
  const entries = words.map((word): [string, string] => {
    const at = word.indexOf('=')
    const [name = ''] = namesOf([at === -1 ? word : word.slice(0, at)])
    if (at !== -1) return [name, word.slice(at + 1)]
    throw new FlexiError('FLEXI_USAGE', `${name} has no value`, {
      hint: `Write ${name}=VALUE, or take it away with "flexi env unset".`,
    })
  })
  return Object.fromEntries(entries)
}

export class EnvUnset extends FlexiCommand {
  static override readonly summary = 'Take variables of a function away.'
  static override readonly usage = 'env unset FUNCTION NAME...'
  static override readonly examples = [
    { description: 'One', command: '<%= config.bin %> env unset hello LOG_LEVEL' },
  ]
  static override readonly hiddenAliases = ['env:remove', 'env:delete', 'env:rm']
  static override readonly strict = false
  static override readonly args = { function: functionArg }
  static override readonly flags = daemonFlags

  async run(): Promise<{ readonly function: string; readonly unset: readonly string[] }> {
    const { args, argv, flags } = await this.parse(EnvUnset)
    const names = namesOf(argv.slice(1).map(String))
    if (names.length === 0) throw noVariables('Write their names behind the function.')
    const unset = await withFunction(flags, args.function, (client) =>
      unsetVariables(client, args.function, { secret: false, names }),
    )
    this.print(unset.length === 0 ? [] : [`unset: ${joined(unset)}`])
    return { function: args.function, unset }
  }
}
