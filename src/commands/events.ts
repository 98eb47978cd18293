import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import { paintFor } from '../terminal/paint.ts'
import { table } from '../terminal/table.ts'
import { FlexiCommand } from './flexi-command.ts'
import { assignments } from './options.ts'

export default class Events extends FlexiCommand {
  static override readonly summary = 'List the event sources, or print a sample event of one.'
  static override readonly description =
    'The samples are what the sources send. Pass one to a function with "flexi invoke NAME --event SOURCE".'
  static override readonly examples = [
    { description: 'List the sources', command: '<%= config.bin %> <%= command.id %>' },
    { description: 'Print an event', command: '<%= config.bin %> <%= command.id %> aws:sqs' },
    {
      description: 'With values of your own',
      command: '<%= config.bin %> <%= command.id %> --set body=hello aws:sqs',
    },
  ]
  static override readonly args = {
    source: Args.string({ ignoreStdin: true, description: 'event source, such as aws:sqs' }),
  }
  static override readonly flags = {
    set: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'NAME=VALUE',
      summary: 'Replace a value of the sample.',
      default: [],
    }),
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Events)
    const overrides = assignments('set', flags.set)
    const { listEvents, sampleEvent } = await import('../app/events.ts')
    if (args.source === undefined) {
      const sources = listEvents()
      const rows = sources.map(({ source, provider, description }) => [source, provider, description])
      const paint = paintFor(process.stdout, process.env)
      this.print(
        table(['SOURCE', 'PROVIDER', 'WHAT IT SENDS'], rows, { paint, indent: 0, columns: [paint.cyan] }),
      )
      return sources
    }
    const event = sampleEvent(args.source, overrides)
    this.print([JSON.stringify(event, null, 2)])
    return event
  }
}
