import type { OutputLine } from '../../core/function.ts'
import type { PrintedLine } from './environments/environment.ts'

/** Who the lines of an invocation belong to. */
export interface LogOwner {
  readonly id: string
  /** Gets every line as Lambda writes it; undefined when nobody keeps them. */
  readonly logged: ((line: string) => void) | undefined
}

const OUTPUT_LEVELS = {
  TRACE: 'debug',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
  FATAL: 'error',
} as const

/** The lines of one environment: what its code prints, and what its platform says. */
export class InvocationLog {
  readonly #output: (line: OutputLine) => void
  #pending: (() => void) | undefined
  readonly #flush = (): void => this.flush()

  constructor(output: (line: OutputLine) => void) {
    this.#output = output
  }

  platform(text: string, owner: LogOwner | undefined): void {
    this.#output({ stream: 'platform', level: 'debug', text, requestId: owner?.id })
    owner?.logged?.(text)
  }

  printed({ stream, level, text, format }: PrintedLine, { id, logged }: Partial<LogOwner>): void {
    this.flush()
    if (format === 'notice') this.#output({ stream: 'platform', level: 'debug', text, requestId: id })
    else
      this.#output({
        stream,
        level: level === undefined ? 'info' : OUTPUT_LEVELS[level],
        text,
        requestId: id,
      })
    if (logged === undefined) return
    const prefix =
      level === undefined || format === 'whole' ? '' : `${new Date().toISOString()}\t${id}\t${level}\t`
    logged(prefix + text)
  }

  /** Says something soon, but before anything else is said: after the next invocation was handed out, which it would only hold up. */
  soon(say: () => void): void {
    this.flush()
    this.#pending = say
    setImmediate(this.#flush)
  }

  flush(): void {
    const say = this.#pending
    this.#pending = undefined
    say?.()
  }
}
