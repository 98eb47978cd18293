import type { FunctionSummary, RouteSummary } from '../core/events.ts'
import type { Fault } from '../core/place.ts'
import { projectLines } from '../terminal/banner.ts'
import { faultLines } from '../terminal/faults.ts'
import { paintFor } from '../terminal/paint.ts'
import { FlexiCommand } from './flexi-command.ts'
import { projectArgs, projectDirectory, sourceFlags, sourcesOf } from './options.ts'

interface CheckResult {
  readonly directory: string
  readonly files: readonly string[]
  readonly functions: readonly Omit<FunctionSummary, 'url'>[]
  readonly routes: readonly RouteSummary[]
  readonly warnings: readonly Fault[]
}

export default class Check extends FlexiCommand {
  static override readonly summary =
    'Validate every configuration file of a folder, and print its functions and routes.'
  static override readonly description = `Reads what "flexi dev" would read and starts nothing. All faults are printed at once, each with file, line and column; the exit code is 78 when there are any.`
  static override readonly examples = [
    { description: 'Check the folder you are in', command: '<%= config.bin %> <%= command.id %>' },
    { description: 'For a program', command: '<%= config.bin %> <%= command.id %> --json ./api' },
  ]
  static override readonly args = projectArgs
  static override readonly flags = sourceFlags

  async run(): Promise<CheckResult> {
    const { args, flags } = await this.parse(Check)
    const directory = projectDirectory(args.dir)
    const { checkProject } = await import('../app.ts')
    const { project, routes } = await checkProject({
      directory,
      ...sourcesOf(flags),
    })
    const result = {
      directory,
      files: project.files,
      functions: project.functions.map(({ name, provider }) => ({ name, provider })),
      routes,
      warnings: project.faults,
    }
    this.print(checkLines(result))
    return result
  }
}

function checkLines({ directory, functions, routes, warnings }: CheckResult): string[] {
  const paint = paintFor(process.stdout, process.env)
  const count = warnings.length === 1 ? '1 warning' : `${warnings.length} warnings`
  return [
    '',
    ...projectLines({ paint, functions: functions.map((one) => ({ ...one, url: '' })), routes }),
    ...warnings.flatMap((warning) => [
      ...faultLines(warning, { paint, directory }).map((line) => `  ${line}`),
      '',
    ]),
    `${paint.green('✔')} no faults${warnings.length === 0 ? '' : `, ${paint.yellow(count)}`}`,
  ]
}
