import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import type { StoredSecretName } from '../app/worker-state.ts'
import { FlexiError } from '../core/errors.ts'
import { paintFor } from '../terminal/paint.ts'
import { table } from '../terminal/table.ts'
import { FlexiCommand } from './flexi-command.ts'
import { bytesOf, inputOf, stateFlags, withState } from './state-options.ts'

const secretArg = {
  ignoreStdin: true,
  required: true as const,
  description: 'the secret: its name, binding, or STORE/NAME',
}

const wantedSecret = (name: string): { name: string; by: string } => ({ name, by: 'SECRET' })

/** @throws FlexiError FLEXI_USAGE when its value is not the store's to give. */
function refuseGiven({ id, given }: StoredSecretName): void {
  if (!given) return
  const name = id.slice(id.indexOf('/') + 1)
  throw new FlexiError('FLEXI_USAGE', `${id} has its value from .dev.vars`, {
    hint: `Change it there, or take ${name} out of it.`,
  })
}

interface SecretJson {
  readonly function: string
  readonly binding: string | undefined
  readonly store: string
  readonly name: string
  /** Undefined when it has none. */
  readonly from: 'store' | '.dev.vars' | undefined
}

export class SecretsStoreList extends FlexiCommand {
  static override readonly summary = 'List the secrets of Secrets Stores that workers here are bound to.'
  static override readonly examples = [
    { description: 'Of the folder you are in', command: '<%= config.bin %> secrets-store list' },
  ]
  static override readonly flags = stateFlags

  async run(): Promise<readonly SecretJson[]> {
    const { flags } = await this.parse(SecretsStoreList)
    const { storedSecret } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const uses = state.resources.flatMap(({ function: name, secret }) =>
        secret.map((one) => ({ name, one })),
      )
      const list: SecretJson[] = []
      for (const { name, one } of uses) {
        const { binding, store, name: secret } = one
        const stored = async (): Promise<string | undefined> =>
          storedSecret(await state.find('secret', { name: one.id, by: '' })).get()
        const from = one.given ? '.dev.vars' : (await stored()) === undefined ? undefined : 'store'
        list.push({ function: name, binding, store, name: secret, from })
      }
      const rows = list.map((one) => [
        one.binding ?? '',
        one.store,
        one.name,
        one.from ?? 'no value',
        one.function,
      ])
      const paint = paintFor(process.stdout, process.env)
      const heading = ['BINDING', 'STORE', 'NAME', 'VALUE FROM', 'WORKER']
      this.print(table(heading, rows, { paint, indent: 0, columns: [paint.cyan] }))
      return list
    })
  }
}

export class SecretsStoreSet extends FlexiCommand {
  static override readonly summary = 'Set a local value of a secret.'
  static override readonly description =
    'The value is standard input, without the line end, or --value, which your shell may remember.'
  static override readonly examples = [
    {
      description: 'From standard input',
      command: 'pass show api | <%= config.bin %> secrets-store set API_KEY',
    },
    { description: 'In the open', command: '<%= config.bin %> secrets-store set API_KEY --value test' },
  ]
  static override readonly args = { secret: Args.string(secretArg) }
  static override readonly flags = {
    ...stateFlags,
    value: Flags.string({ helpValue: 'TEXT', summary: 'The value.' }),
  }

  async run(): Promise<{ readonly secret: string }> {
    const { args, flags } = await this.parse(SecretsStoreSet)
    const input = await inputOf({ text: flags.value, ways: 'Give --value, or pipe it in.' })
    const text = (await bytesOf(input)).toString()
    const value = flags.value === undefined ? text.replace(/\r?\n$/, '') : text
    const { storedSecret } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const secret = await state.find('secret', wantedSecret(args.secret))
      refuseGiven(secret.found)
      await storedSecret(secret).set(value)
      this.print([`set: ${secret.id}`])
      return { secret: secret.id }
    })
  }
}

export class SecretsStoreDelete extends FlexiCommand {
  static override readonly summary = 'Take the local value of a secret away.'
  static override readonly examples = [
    { description: 'By its name', command: '<%= config.bin %> secrets-store delete API_KEY' },
  ]
  static override readonly args = { secret: Args.string(secretArg) }
  static override readonly flags = stateFlags

  async run(): Promise<{ readonly secret: string }> {
    const { args, flags } = await this.parse(SecretsStoreDelete)
    const { storedSecret } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const secret = await state.find('secret', wantedSecret(args.secret))
      refuseGiven(secret.found)
      if (!(await storedSecret(secret).delete()))
        throw new FlexiError('FLEXI_NO_INPUT', `${secret.id} is not set`)
      this.print([`deleted: ${secret.id}`])
      return { secret: secret.id }
    })
  }
}
