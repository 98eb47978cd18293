import type { FunctionFault, OutputLine } from '../../core/function.ts'
import type { Logger } from '../../core/log.ts'
import type { PoolChange } from '../../instances/pool.ts'
import type { VersionRecord } from '../model.ts'
import type { Logs } from '../runtime.ts'
import { faultText } from './fault-text.ts'

/** Of one line, which may be a stack as somebody's program made it; who follows a log holds a whole one. */
const CHARACTERS_MAX = 256 * 1024

export interface VersionOutputOptions {
  readonly record: () => VersionRecord
  readonly logs: Logs
  readonly log: Logger
  readonly clock: () => number
}

/** Where everything goes that a version prints, and what its platform says about it. */
export class VersionOutput {
  readonly #options: VersionOutputOptions
  readonly #listeners = new Set<(text: string) => void>()
  /** Whether its emulator has said in its own words what is wrong, since an instance was last started. */
  #isTold = false

  constructor(options: VersionOutputOptions) {
    this.#options = options
  }

  /** Calls back with each line until the returned is called. */
  listen(listener: (text: string) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  readonly line = (given: OutputLine): void => {
    const line = { ...given, text: shortened(given.text) }
    const { record, logs, log, clock } = this.#options
    const { name, version, config } = record()
    logs.append({ at: clock(), function: name, version, ...line })
    for (const listener of this.#listeners) listener(line.text)
    if (config.sandbox.inherit_stdout && line.stream !== 'platform')
      log.info('function.output', { function: name, version, stream: line.stream, text: line.text })
  }

  readonly fault = (fault: FunctionFault): void => {
    this.#isTold = fault.kind !== 'throw' && fault.kind !== 'result'
    this.line({ stream: 'platform', level: 'error', text: faultText(fault), requestId: fault.requestId })
  }

  say(level: OutputLine['level'], text: string): void {
    this.line({ stream: 'platform', level, text })
  }

  changed(change: PoolChange): void {
    switch (change.kind) {
      case 'starting':
        this.#isTold = false
        return
      case 'started':
        this.say('debug', `instance started in ${Math.round(change.durationMs)} ms`)
        return
      case 'start-failed':
        if (!this.#isTold) this.say('error', `instance could not be started: ${change.error.message}`)
        return
      case 'ended':
        if (change.error === undefined) this.say('info', 'instance ended by itself')
        else if (!this.#isTold) this.say('error', `instance ended by itself: ${change.error.message}`)
        return
      case 'resting':
        this.say('error', restText(change.againMs))
        return
      case 'retired':
        this.say('debug', 'instance ended: it was not needed any more')
    }
  }
}

function shortened(text: string): string {
  const more = text.length - CHARACTERS_MAX
  return more > 0 ? `${text.slice(0, CHARACTERS_MAX)}… (${more} more)` : text
}

function restText(againMs: number | undefined): string {
  const next = againMs === undefined ? 'when somebody asks' : `in ${(againMs / 1000).toFixed(1)} s`
  return `it keeps ending before it has answered anything: the next start is ${next}`
}
