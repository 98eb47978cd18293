import { Command } from '@oclif/core/command'

/** A command that prints data: `--json` prints what `run` returns, and nothing else, on stdout. */
export abstract class FlexiCommand extends Command {
  static override readonly enableJsonFlag = true

  /** oclif would print an error itself when `--json` is given, with an exit code of its own; `main` does both. */
  protected override catch(error: Error): Promise<never> {
    return Promise.reject(error)
  }

  /** Lines for people; not printed with `--json`. */
  protected print(lines: readonly string[]): void {
    if (lines.length > 0) this.log(lines.join('\n'))
  }
}
