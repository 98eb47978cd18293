import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import type { Call } from '../daemon/api/schemas/operations.ts'
import type { Group } from '../daemon/model.ts'
import { age } from '../terminal/age.ts'
import { paintFor } from '../terminal/paint.ts'
import { functionDetailLines, statusRows, STATUS_HEADING } from '../terminal/function-lines.ts'
import { table } from '../terminal/table.ts'
import {
  daemonFlags,
  functionArg,
  parseReference,
  withDaemon,
  withFunction,
  yesFlag,
} from './client-options.ts'
import { FlexiCommand } from './flexi-command.ts'
import { confirm } from './prompts.ts'

type FunctionDetail = Call<'getFunction'>['answer']

const referenceArg = Args.string({ ignoreStdin: true, required: true, description: 'NAME, or NAME@VERSION' })

export class FunctionsList extends FlexiCommand {
  static override readonly summary = 'List the functions of a daemon.'
  static override readonly examples = [
    { description: 'All', command: '<%= config.bin %> functions list' },
    { description: 'Of a project', command: '<%= config.bin %> functions list --project shop' },
  ]
  static override readonly flags = {
    ...daemonFlags,
    project: Flags.string({ helpValue: 'NAME', summary: 'Only those of this project.' }),
  }

  async run(): Promise<Call<'functions'>['answer']> {
    const { flags } = await this.parse(FunctionsList)
    const { project } = flags
    const list = await withDaemon(flags, (client) => client.functions({ project }))
    const rows = list.map(({ name, project: of, provider, state, versions, aliases, url }) => [
      name,
      of ?? '',
      provider,
      state,
      aliases.find(({ alias }) => alias === 'live')?.version ?? '',
      String(versions),
      url,
    ])
    const paint = paintFor(process.stdout, process.env)
    const heading = ['FUNCTION', 'PROJECT', 'PROVIDER', 'STATE', 'LIVE', 'VERSIONS', 'URL']
    this.print(table(heading, rows, { paint, indent: 0, columns: [paint.cyan] }))
    return list
  }
}

export class FunctionsShow extends FlexiCommand {
  static override readonly summary = 'Show a function: its versions, aliases, addresses and schedules.'
  static override readonly examples = [
    { description: 'Show it', command: '<%= config.bin %> functions show hello' },
  ]
  static override readonly args = { function: functionArg }
  static override readonly flags = daemonFlags

  async run(): Promise<FunctionDetail> {
    const { args, flags } = await this.parse(FunctionsShow)
    const detail = await withFunction(flags, args.function, (client) => client.function(args.function))
    this.print(functionDetailLines(detail, { paint: paintFor(process.stdout, process.env), now: Date.now() }))
    return detail
  }
}

export class FunctionsStatus extends FlexiCommand {
  static override readonly summary = 'Show what the versions of a function do at this moment.'
  static override readonly description =
    'running: it has instances. idle: a request starts one. crashed: it ended by itself and waits for its next start. stopped: somebody stopped it.'
  static override readonly examples = [
    { description: 'Of all its versions', command: '<%= config.bin %> functions status hello' },
    { description: 'Of one', command: '<%= config.bin %> functions status hello@v3' },
  ]
  static override readonly args = { function: referenceArg }
  static override readonly flags = daemonFlags

  async run(): Promise<FunctionDetail['statuses']> {
    const { args, flags } = await this.parse(FunctionsStatus)
    const { name, version } = parseReference(args.function)
    const { statuses } = await withFunction(flags, name, (client) => client.function(name))
    const wanted = version === undefined ? statuses : statuses.filter((one) => isMeant(one, version))
    if (wanted.length === 0 && version !== undefined) throw await noVersion(name, version)
    const paint = paintFor(process.stdout, process.env)
    this.print(
      table(STATUS_HEADING, statusRows(wanted, Date.now()), { paint, indent: 0, columns: [paint.cyan] }),
    )
    return wanted
  }
}

/** By its own name, or one of its aliases. */
function isMeant(status: FunctionDetail['statuses'][number], version: string): boolean {
  return status.version === version || status.aliases.includes(version)
}

async function noVersion(name: string, version: string): Promise<Error> {
  const { FlexiError } = await import('../core/errors.ts')
  return new FlexiError('FLEXI_FUNCTION_UNKNOWN', `${name} has no version or alias "${version}"`, {
    hint: `Run "flexi versions ${name}" for those there are.`,
  })
}

export class FunctionsStart extends FlexiCommand {
  static override readonly summary = 'Start a version of a function.'
  static override readonly description = 'Without a version, the one that "live" leads to.'
  static override readonly examples = [
    { description: 'What is live', command: '<%= config.bin %> functions start hello' },
    { description: 'A version', command: '<%= config.bin %> functions start hello@v3' },
  ]
  static override readonly args = { function: referenceArg }
  static override readonly flags = daemonFlags

  async run(): Promise<{ readonly started: string }> {
    const { args, flags } = await this.parse(FunctionsStart)
    const { name, version } = parseReference(args.function)
    await withFunction(flags, name, (client) => client.start(name, version))
    this.print([`started: ${args.function}`])
    return { started: args.function }
  }
}

export class FunctionsStop extends FlexiCommand {
  static override readonly summary = 'Stop a function, or one version of it.'
  static override readonly description =
    'Requests under way end first. What is stopped has no address until it is started again, also after a restart of the daemon.'
  static override readonly examples = [
    { description: 'All its versions', command: '<%= config.bin %> functions stop hello' },
    { description: 'One version', command: '<%= config.bin %> functions stop hello@v3' },
  ]
  static override readonly args = { function: referenceArg }
  static override readonly flags = daemonFlags

  async run(): Promise<{ readonly stopped: string }> {
    const { args, flags } = await this.parse(FunctionsStop)
    const { name, version } = parseReference(args.function)
    await withFunction(flags, name, (client) => client.stop(name, version))
    this.print([`stopped: ${args.function}`])
    return { stopped: args.function }
  }
}

export class FunctionsRemove extends FlexiCommand {
  static override readonly summary = 'Remove a function with all it has, or one version of it.'
  static override readonly description =
    'Asks first on a terminal; elsewhere it takes --yes. A function takes its versions, aliases, variables and stored data with it.'
  static override readonly examples = [
    { description: 'All of it', command: '<%= config.bin %> functions remove hello' },
    {
      description: 'One version, without being asked',
      command: '<%= config.bin %> functions remove --yes hello@v3',
    },
  ]
  static override readonly hiddenAliases = ['functions:delete', 'functions:rm']
  static override readonly args = { function: referenceArg }
  static override readonly flags = { ...daemonFlags, yes: yesFlag }

  async run(): Promise<{ readonly removed: string }> {
    const { args, flags } = await this.parse(FunctionsRemove)
    const { name, version } = parseReference(args.function)
    await withFunction(flags, name, async (client) => {
      // What is not there is not asked about.
      const { versions } = await client.function(name)
      const what = version === undefined ? `${name} and its ${count(versions)}` : `${name}@${version}`
      await confirm(`Remove ${what}?`, flags.yes)
      await (version === undefined ? client.removeFunction(name) : client.removeVersion({ name, version }))
    })
    this.print([`removed: ${args.function}`])
    return { removed: args.function }
  }
}

function count(versions: number): string {
  return versions === 1 ? 'only version' : `${versions} versions`
}

export class FunctionsGroup extends FlexiCommand {
  static override readonly summary = 'Say who may change a function.'
  static override readonly description =
    'Members of the group, admins and root may; without a group, everybody with the permission.'
  static override readonly examples = [
    { description: 'One user', command: '<%= config.bin %> functions group hello singular:ada' },
    { description: 'A team', command: '<%= config.bin %> functions group hello custom:shop-team' },
    { description: 'Everybody who may write', command: '<%= config.bin %> functions group hello --none' },
  ]
  static override readonly args = {
    function: functionArg,
    group: Args.string({ ignoreStdin: true, description: 'singular:USER, custom:NAME or permission:NAME' }),
  }
  static override readonly flags = {
    ...daemonFlags,
    none: Flags.boolean({ default: false, summary: 'No group.' }),
  }

  async run(): Promise<{ readonly function: string; readonly group: Group | null }> {
    const { args, flags } = await this.parse(FunctionsGroup)
    const { groupFor } = await import('./group-options.ts')
    const group = groupFor(args.group, flags.none)
    await withFunction(flags, args.function, (client) => client.setGroup(args.function, group))
    this.print([group === null ? `${args.function} has no group` : `${args.function} is of ${group}`])
    return { function: args.function, group }
  }
}

export class Versions extends FlexiCommand {
  static override readonly summary = 'List the versions of a function, newest first.'
  static override readonly examples = [
    { description: 'List them', command: '<%= config.bin %> versions hello' },
  ]
  static override readonly args = { function: functionArg }
  static override readonly flags = daemonFlags

  async run(): Promise<FunctionDetail['statuses']> {
    const { args, flags } = await this.parse(Versions)
    const { statuses } = await withFunction(flags, args.function, (client) => client.function(args.function))
    const now = Date.now()
    const rows = statuses.map(({ version, aliases, state, createdAt, createdBy, artifact }) => [
      version,
      aliases.join(', '),
      state,
      age(createdAt, now),
      createdBy,
      artifact.slice(0, 12),
    ])
    const paint = paintFor(process.stdout, process.env)
    const heading = ['VERSION', 'ALIASES', 'STATE', 'DEPLOYED', 'BY', 'CONTENT']
    this.print(table(heading, rows, { paint, indent: 0, columns: [paint.cyan] }))
    return statuses
  }
}
