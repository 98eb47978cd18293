import { resolve } from 'node:path'

import * as Flags from '@oclif/core/flags'

import type { WorkerTypesReport } from '../app/worker-types.ts'
import { FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'
import { byteSize } from '../terminal/duration.ts'
import { paintFor } from '../terminal/paint.ts'
import { FlexiCommand } from './flexi-command.ts'
import { projectArgs, projectDirectory, sourceFlags, sourcesOf } from './options.ts'

export default class Types extends FlexiCommand {
  static override readonly summary = 'Write the TypeScript types of what each Worker finds in env.'
  static override readonly description =
    'Writes worker-configuration.d.ts beside the wrangler file: Env, and the types of the runtime at its compatibility date. With --check nothing is written; the exit code is 1 when a file is out of date.'
  static override readonly examples = [
    { description: 'Of every Worker here', command: '<%= config.bin %> <%= command.id %>' },
    {
      description: 'With another name, without the runtime',
      command: '<%= config.bin %> <%= command.id %> --env-interface Bindings --no-include-runtime',
    },
    { description: 'In a test', command: '<%= config.bin %> <%= command.id %> --check' },
  ]
  static override readonly args = projectArgs
  static override readonly flags = {
    ...sourceFlags,
    check: Flags.boolean({ summary: 'Write nothing, and exit with 1 when a file is out of date.' }),
    'env-interface': Flags.string({
      default: 'Env',
      helpValue: 'NAME',
      summary: 'Call the interface so.',
    }),
    function: Flags.string({ char: 'f', helpValue: 'NAME', summary: 'Of this Worker only.' }),
    'include-runtime': Flags.boolean({
      allowNo: true,
      default: true,
      summary: 'Types of the runtime too, for its date and flags.',
    }),
    path: Flags.string({ helpValue: 'FILE', summary: 'Write here; the name ends in .d.ts.' }),
  }

  async run(): Promise<readonly WorkerTypesReport[]> {
    const { args, flags } = await this.parse(Types)
    const { writeWorkerTypes } = await import('../app/worker-types.ts')
    const reports = await writeWorkerTypes({
      directory: projectDirectory(args.dir),
      ...sourcesOf(flags),
      name: flags.function,
      interfaceName: interfaceName(flags['env-interface']),
      includeRuntime: flags['include-runtime'],
      file: declarationFile(flags.path),
      check: flags.check,
    })
    this.print(reportLines(reports, flags.check))
    if (flags.check && reports.some(({ upToDate }) => !upToDate)) process.exitCode = 1
    return reports
  }
}

function interfaceName(name: string): string {
  if (/^[a-zA-Z]\w*$/.test(name)) return name
  throw new FlexiError('FLEXI_USAGE', `--env-interface ${name} is no name of an interface`, {
    hint: 'Begin with a letter, and go on with letters, digits and "_".',
  })
}

function declarationFile(path: string | undefined): AbsolutePath | undefined {
  if (path === undefined) return undefined
  if (path.endsWith('.d.ts')) return resolve(path) as AbsolutePath
  throw new FlexiError('FLEXI_USAGE', `--path ${path} is no file of declarations`, {
    hint: 'End its name in .d.ts.',
  })
}

function reportLines(reports: readonly WorkerTypesReport[], isCheck: boolean): string[] {
  const paint = paintFor(process.stdout, process.env)
  return reports.flatMap(({ file, upToDate, bytes, notes }) => [
    ...notes.map((note) => paint.yellow(note)),
    isCheck && !upToDate
      ? `${paint.red('✘')} ${file} is out of date: run "flexi types"`
      : `${paint.green('✔')} ${file}  ${paint.dim(upToDate ? 'up to date' : byteSize(bytes))}`,
  ])
}
