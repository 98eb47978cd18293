import type { Reporter, TestModule } from 'vitest/node'

/** Prints what was not tested, with the reason that each title gives. */
export default class SkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) => [...module.children.allTests('skipped')])
    for (const test of skipped) process.stdout.write(`skipped: ${test.fullName}\n`)
  }
}
