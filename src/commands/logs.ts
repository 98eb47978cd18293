import * as Args from '@oclif/core/args'
import { Command } from '@oclif/core/command'
import * as Flags from '@oclif/core/flags'

import type { LogRecord } from '../daemon/model.ts'
import { dateTime } from '../terminal/age.ts'
import { nameColour, type Paint, paintFor } from '../terminal/paint.ts'
import { printable, printableOutput } from '../terminal/printable.ts'
import { daemonFlags, parseReference, withFunction } from './client-options.ts'
import { sinceFlag } from './time-options.ts'

export default class Logs extends Command {
  static override readonly summary = 'Print what a function printed, oldest first.'
  static override readonly description =
    'What the daemon has to say about it (starts, exits, restarts) is among it, marked "platform". --json prints one JSON object a line.'
  static override readonly examples = [
    { description: 'The last 100 lines', command: '<%= config.bin %> <%= command.id %> hello' },
    { description: 'Go on with what comes', command: '<%= config.bin %> <%= command.id %> -f hello' },
    {
      description: 'All of the last two hours',
      command: '<%= config.bin %> <%= command.id %> --since 2h hello',
    },
    {
      description: 'Of one version, for a program',
      command: '<%= config.bin %> <%= command.id %> --json hello@v3',
    },
  ]
  static override readonly args = {
    function: Args.string({ ignoreStdin: true, required: true, description: 'NAME, or NAME@VERSION' }),
  }
  static override readonly flags = {
    ...daemonFlags,
    follow: Flags.boolean({ char: 'f', default: false, summary: 'Go on with what is printed from now on.' }),
    since: Flags.string({
      helpValue: 'TIME',
      summary: 'Begin here: so long ago (10m, 2h, 3d), or a time (2026-11-21T14:00).',
    }),
    limit: Flags.integer({
      char: 'n',
      min: 0,
      max: 100_000,
      helpValue: 'N',
      summary: 'The last so many lines. Default: 100; with --since, all.',
    }),
    json: Flags.boolean({ default: false, summary: 'Print one JSON object a line.' }),
  }

  protected override catch(error: Error): Promise<never> {
    return Promise.reject(error)
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Logs)
    const { name, version } = parseReference(args.function)
    const since = flags.since === undefined ? undefined : sinceFlag(flags.since, Date.now())
    const limit = flags.limit ?? (since === undefined ? 100 : 100_000)
    const paint = paintFor(process.stdout, process.env)
    const show = (record: LogRecord): string => (flags.json ? JSON.stringify(record) : logLine(record, paint))
    const { followLogs, printLines } = await import('./log-stream.ts')
    await withFunction(flags, name, (client) =>
      printLines(followLogs(client, { function: name, version, since, limit, follow: flags.follow }), show),
    )
  }
}

/** `2026-11-21 14:03:09 v3 │ what it printed`; further lines of it, such as a stack, stand below, indented. */
function logLine({ at, version, stream, level, text }: LogRecord, paint: Paint): string {
  const head = `${paint.dim(dateTime(at))} ${paint[nameColour(version)](printable(version))}`
  const mark = level === 'error' ? paint.red : paint.dim
  const lines = text.split(/\r?\n/).map((line) => printableOutput(line, paint.isColorSupported))
  const whole = lines.join(`\n${' '.repeat(CONTINUED)}`)
  if (stream === 'platform') return `${head} ${mark('·')} ${paint.dim(`platform  ${whole}`)}`
  return `${head} ${mark('│')} ${whole}`
}

/** Columns before what goes on. */
const CONTINUED = 4
