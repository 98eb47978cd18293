import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import { FlexiError } from '../core/errors.ts'
import type { Call } from '../daemon/api/schemas/operations.ts'
import { age } from '../terminal/age.ts'
import { paintFor } from '../terminal/paint.ts'
import { table } from '../terminal/table.ts'
import { daemonFlags, functionArg, warnOfUnknown, withFunction } from './client-options.ts'
import { FlexiCommand } from './flexi-command.ts'
import { optionalFile } from './options.ts'
import { askSecret, canAsk } from './prompts.ts'
import { bytesOf, inputOf } from './state-options.ts'
import { changedNames, fileValues, joined, namesOf, noVariables, unsetVariables } from './variable-options.ts'

export class SecretsList extends FlexiCommand {
  static override readonly summary = 'List the secrets of a function: names, and never values.'
  static override readonly examples = [
    { description: 'List them', command: '<%= config.bin %> secrets list hello' },
  ]
  static override readonly args = { function: functionArg }
  static override readonly flags = daemonFlags

  async run(): Promise<Call<'variables'>['answer']> {
    const { args, flags } = await this.parse(SecretsList)
    const all = await withFunction(flags, args.function, (client) => client.variables(args.function))
    const list = all.filter(({ secret }) => secret)
    const now = Date.now()
    const rows = list.map(({ name, setAt, setBy }) => [name, age(setAt, now), setBy])
    const paint = paintFor(process.stdout, process.env)
    this.print(table(['NAME', 'SET', 'BY'], rows, { paint, indent: 0, columns: [paint.cyan] }))
    return list
  }
}

export class SecretsSet extends FlexiCommand {
  static override readonly summary = 'Set a secret of a function.'
  static override readonly description =
    'The value is asked for, or read from standard input or a file: an argument would be in the history of your shell and in the list of processes. It is sealed where the daemon keeps it, and given to the function alone, as a variable.'
  static override readonly examples = [
    { description: 'Be asked', command: '<%= config.bin %> secrets set hello API_KEY' },
    {
      description: 'From a password manager',
      command: 'pass show api | <%= config.bin %> secrets set hello API_KEY',
    },
    { description: 'Many', command: '<%= config.bin %> secrets set hello --env-file .env.secret' },
  ]
  static override readonly args = {
    function: functionArg,
    name: Args.string({ ignoreStdin: true, description: 'name of the variable' }),
  }
  static override readonly flags = {
    ...daemonFlags,
    path: Flags.string({ helpValue: 'FILE', summary: 'Take the value from a file, as it is.' }),
    'env-file': Flags.string({
      helpValue: 'FILE',
      summary: 'Set all that this file holds.',
      exclusive: ['path'],
    }),
  }

  async run(): Promise<{ readonly function: string; readonly set: readonly string[] }> {
    const { args, flags } = await this.parse(SecretsSet)
    const values = await secretValues(args.name, { path: flags.path, envFile: flags['env-file'] })
    const set = changedNames(values, 'The file holds none.')
    await withFunction(flags, args.function, async (client) => {
      await client.setVariables(args.function, { secret: true, values })
      await warnOfUnknown(client, args.function)
    })
    this.print([`set: ${joined(set)}`])
    return { function: args.function, set }
  }
}

async function secretValues(
  name: string | undefined,
  { path, envFile }: { readonly path: string | undefined; readonly envFile: string | undefined },
): Promise<Record<string, string>> {
  if ((name === undefined) === (envFile === undefined))
    throw new FlexiError('FLEXI_USAGE', 'name one secret, or a file of them', {
      hint: 'Write the name behind the function, or use --env-file.',
    })
  if (name === undefined) return await fileValues(optionalFile(envFile))
  if (name.includes('='))
    throw new FlexiError('FLEXI_USAGE', 'a secret has no place on the command line', {
      hint: `Write the name alone, ${name.slice(0, name.indexOf('='))}, and pipe the value in. Change this one: your shell may have kept it.`,
    })
  namesOf([name])
  return { [name]: await secretValue(name, path) }
}

/** Asked for on a terminal; the line end of what is piped in is nobody's. */
async function secretValue(name: string, path: string | undefined): Promise<string> {
  if (path === undefined && canAsk()) return await askSecret(name)
  const text = (
    await bytesOf(await inputOf({ file: path, ways: 'Pipe it in, or name a file with --path.' }))
  ).toString()
  const value = path === undefined ? text.replace(/\r?\n$/, '') : text
  if (value !== '') return value
  throw new FlexiError('FLEXI_USAGE', `the value of ${name} is empty`, {
    hint: `Look at what was to print it. To take the secret away: "flexi secrets unset".`,
  })
}

export class SecretsUnset extends FlexiCommand {
  static override readonly summary = 'Take secrets of a function away.'
  static override readonly usage = 'secrets unset FUNCTION NAME...'
  static override readonly examples = [
    { description: 'One', command: '<%= config.bin %> secrets unset hello API_KEY' },
  ]
  static override readonly hiddenAliases = ['secrets:remove', 'secrets:delete', 'secrets:rm']
  static override readonly strict = false
  static override readonly args = { function: functionArg }
  static override readonly flags = daemonFlags

  async run(): Promise<{ readonly function: string; readonly unset: readonly string[] }> {
    const { args, argv, flags } = await this.parse(SecretsUnset)
    const names = namesOf(argv.slice(1).map(String))
    if (names.length === 0) throw noVariables('Write their names behind the function.')
    const unset = await withFunction(flags, args.function, (client) =>
      unsetVariables(client, args.function, { secret: true, names }),
    )
    this.print(unset.length === 0 ? [] : [`unset: ${joined(unset)}`])
    return { function: args.function, unset }
  }
}
