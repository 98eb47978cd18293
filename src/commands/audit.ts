import * as Flags from '@oclif/core/flags'

import type { Call } from '../daemon/api/schemas/operations.ts'
import { age, dateTime } from '../terminal/age.ts'
import { duration } from '../terminal/duration.ts'
import { paintFor } from '../terminal/paint.ts'
import { table } from '../terminal/table.ts'
import { daemonFlags, withDaemon } from './client-options.ts'
import { FlexiCommand } from './flexi-command.ts'
import { sinceFlag } from './time-options.ts'

export class Audit extends FlexiCommand {
  static override readonly summary = 'Show who changed what on a daemon, newest first.'
  static override readonly description =
    'For admins. What was refused or failed is there too; --json adds the details.'
  static override readonly examples = [
    { description: 'The last 50 changes', command: '<%= config.bin %> audit' },
    { description: 'Of this week', command: '<%= config.bin %> audit --since 1w --limit 1000' },
  ]
  static override readonly flags = {
    ...daemonFlags,
    since: Flags.string({
      helpValue: 'TIME',
      summary: 'Not before: so long ago (2h, 3d), or a time (2026-11-21).',
    }),
    limit: Flags.integer({
      char: 'n',
      min: 1,
      max: 10_000,
      default: 50,
      helpValue: 'N',
      summary: 'So many at most.',
    }),
  }

  async run(): Promise<Call<'audit'>['answer']> {
    const { flags } = await this.parse(Audit)
    const since = flags.since === undefined ? undefined : sinceFlag(flags.since, Date.now())
    const list = await withDaemon(flags, (client) => client.audit({ limit: flags.limit, since }))
    const rows = list.map(({ at, user, from, action, object, outcome }) => [
      dateTime(at),
      user,
      from,
      action,
      outcome,
      object,
    ])
    const paint = paintFor(process.stdout, process.env)
    this.print(table(['WHEN', 'WHO', 'FROM', 'WHAT', 'HOW IT WENT', 'ON'], rows, { paint, indent: 0 }))
    return list
  }
}

export class Deployments extends FlexiCommand {
  static override readonly summary = 'List deployments, newest first, and how they ended.'
  static override readonly examples = [
    { description: 'The last 20', command: '<%= config.bin %> deployments' },
    { description: 'Of a project', command: '<%= config.bin %> deployments --project shop' },
  ]
  static override readonly flags = {
    ...daemonFlags,
    project: Flags.string({ helpValue: 'NAME', summary: 'Only those of this project.' }),
    limit: Flags.integer({
      char: 'n',
      min: 1,
      max: 1000,
      default: 20,
      helpValue: 'N',
      summary: 'So many at most.',
    }),
  }

  async run(): Promise<Call<'deployments'>['answer']> {
    const { flags } = await this.parse(Deployments)
    const { project, limit } = flags
    const list = await withDaemon(flags, (client) => client.deployments({ project, limit }))
    const now = Date.now()
    const rows = list.map((one) => [
      age(one.startedAt, now),
      one.project,
      one.alias,
      one.state,
      one.by,
      one.endedAt === undefined ? '' : duration(one.endedAt - one.startedAt),
      one.error ?? one.keys.map(({ name, version }) => `${name}@${version}`).join(', '),
    ])
    const paint = paintFor(process.stdout, process.env)
    const heading = ['WHEN', 'PROJECT', 'ALIAS', 'STATE', 'BY', 'TOOK', 'WHAT']
    this.print(table(heading, rows, { paint, indent: 0, columns: [undefined, paint.cyan] }))
    return list
  }
}
