import { relative, resolve } from 'node:path'

import * as Flags from '@oclif/core/flags'

import type { PackagedFile } from '../core/function.ts'
import type { AbsolutePath } from '../core/place.ts'
import { byteSize, duration } from '../terminal/duration.ts'
import { nameColour, paintFor } from '../terminal/paint.ts'
import { table } from '../terminal/table.ts'
import { FlexiCommand } from './flexi-command.ts'
import { projectArgs, projectDirectory, sourceFlags, sourcesOf } from './options.ts'

interface BuiltFunction {
  readonly name: string
  readonly provider: string
  readonly files: readonly PackagedFile[]
  readonly durationMs: number
}

interface BuildResult {
  readonly directory: string
  readonly functions: readonly BuiltFunction[]
}

export default class Build extends FlexiCommand {
  static override readonly summary = 'Bundle every function of a folder as a deployment would ship it.'
  static override readonly description =
    'Writes one folder a function. Sizes are bytes on disk; --json also names the files each was made from.'
  static override readonly examples = [
    { description: 'Build the folder you are in into dist/', command: '<%= config.bin %> <%= command.id %>' },
    { description: 'Somewhere else', command: '<%= config.bin %> <%= command.id %> --out /tmp/api ./api' },
    { description: 'Sizes and inputs for a program', command: '<%= config.bin %> <%= command.id %> --json' },
  ]
  static override readonly args = projectArgs
  static override readonly flags = {
    ...sourceFlags,
    out: Flags.string({
      helpValue: 'DIR',
      summary: 'Write here. Default: dist in the folder of the project.',
    }),
  }

  async run(): Promise<BuildResult> {
    const { args, flags } = await this.parse(Build)
    const directory = projectDirectory(args.dir)
    const outDirectory = (
      flags.out === undefined ? resolve(directory, 'dist') : resolve(flags.out)
    ) as AbsolutePath
    const { buildProject } = await import('../app.ts')
    const functions = await buildProject({
      directory,
      outDirectory,
      ...sourcesOf(flags),
    })
    this.print(buildLines({ directory: outDirectory, functions }))
    return { directory: outDirectory, functions }
  }
}

function buildLines({ directory, functions }: BuildResult): string[] {
  const paint = paintFor(process.stdout, process.env)
  const rows = functions.flatMap(({ name, provider, files }) =>
    files.map((file) => [name, provider, byteSize(file.bytes), file.path]),
  )
  const bytes = functions.flatMap(({ files }) => files).reduce((sum, file) => sum + file.bytes, 0)
  const ms = functions.reduce((sum, one) => sum + one.durationMs, 0)
  const columns = [(text: string): string => paint[nameColour(text.trimEnd())](text), paint.dim]
  return [
    '',
    ...table(['FUNCTION', 'PROVIDER', 'SIZE', 'FILE'], rows, { paint, columns }),
    '',
    `${paint.green('✔')} ${byteSize(bytes)} in ${relative('', directory) || '.'}  ${paint.dim(duration(ms))}`,
  ]
}
