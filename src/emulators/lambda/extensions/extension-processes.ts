import { join } from 'node:path'

import type { Child } from '../../../instances/child.ts'
import type { Surroundings } from '../environments/surroundings.ts'
import { isExecutable } from '../find-program.ts'
import type { Opt } from '../layers/opt.ts'
import { within } from './shutdown.ts'

export interface ProcessEvents {
  printed(stream: 'stdout' | 'stderr', text: string): void
  /** It ended although nobody told it to. */
  crashed(name: string, reason: string): void
}

/** Of the function's variables those that are its runtime's alone. Source: Lambda guide, Extensions API. */
const RUNTIME_ONLY = new Set([
  'AWS_EXECUTION_ENV',
  'AWS_LAMBDA_LOG_GROUP_NAME',
  'AWS_LAMBDA_LOG_STREAM_NAME',
  'AWS_XRAY_CONTEXT_MISSING',
  'AWS_XRAY_DAEMON_ADDRESS',
  'LAMBDA_RUNTIME_DIR',
  'LAMBDA_TASK_ROOT',
])

export function extensionVariables(
  variables: Readonly<Record<string, string>>,
  address: string,
): Record<string, string> {
  const kept = Object.entries(variables).filter(([name]) => !name.startsWith('_') && !RUNTIME_ONLY.has(name))
  return { ...Object.fromEntries(kept), AWS_LAMBDA_RUNTIME_API: address }
}

/** The programs in `/opt/extensions` of one environment. */
export class ExtensionProcesses {
  readonly #events: ProcessEvents
  readonly #children = new Map<string, Child>()
  #isEnding = false

  constructor(events: ProcessEvents) {
    this.#events = events
  }

  get isEmpty(): boolean {
    return this.#children.size === 0
  }

  /** @returns why one of them cannot be started. */
  start(
    opt: Opt,
    variables: Readonly<Record<string, string>>,
    surroundings: Surroundings,
  ): string | undefined {
    for (const name of opt.extensions) {
      const command = join(opt.directory, 'extensions', name)
      if (!isExecutable(command)) return `the extension ${name} is not executable: chmod +x it in its layer`
      const child = surroundings.start({
        command,
        args: [],
        cwd: opt.directory,
        environment: variables,
        onLine: (stream, text) => this.#events.printed(stream, text),
      })
      this.#children.set(name, child)
      void child.exited.then(({ code, signal, error }) => {
        this.#children.delete(name)
        if (this.#isEnding) return
        const reason = signal === null ? `exit code ${code ?? 0}` : `signal: ${signal}`
        this.#events.crashed(name, error?.message ?? reason)
      })
    }
    return undefined
  }

  /** From now on their end is what is wanted. Those of these names may end by themselves until the time is over. */
  async end(waitedFor: readonly string[], untilMs: number): Promise<void> {
    this.#isEnding = true
    const exits = [...this.#children].map(([name, child]) => {
      if (!waitedFor.includes(name)) child.kill()
      return child.exited
    })
    const all = Promise.all(exits)
    await within(untilMs - Date.now(), all)
    for (const child of this.#children.values()) child.kill()
    await all
  }
}
