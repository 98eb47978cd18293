import type { AccessRecord, DevEvent } from '../core/events.ts'
import type { LogLevel } from '../core/log.ts'
import { accessLine } from './access-line.ts'
import { bannerLines } from './banner.ts'
import { Burst } from './burst.ts'
import { configurationLine, eventLines, isShown, type LineEvent } from './dev-lines.ts'
import type { FaultStyle } from './faults.ts'
import { LineWriter, type Writable } from './line-writer.ts'

export interface DevScreenOptions extends FaultStyle {
  /** The UI: banner, reloads, errors, what functions print. */
  readonly log: Writable & { readonly isTTY?: boolean | undefined }
  /** Where access lines go that a program reads; people's lines go to `log`. */
  readonly results: Writable
  /** Undefined is the coloured line for people. */
  readonly accessFormat?: ((record: AccessRecord, time: Date) => string) | undefined
  readonly level: LogLevel
  readonly version: string
  readonly networkAddresses: readonly string[]
  readonly keys: boolean
}

/** The terminal of `flexi dev`: takes events, writes lines, holds nothing back longer than a moment. */
export class DevScreen {
  readonly #options: DevScreenOptions
  readonly #log: LineWriter
  readonly #results: LineWriter
  readonly #burst = new Burst()
  readonly #faults = new Repeats()
  /** The functions and routes that the person has seen last. */
  #tables: string | undefined
  #summaryTimer: NodeJS.Timeout | undefined
  #repeatTimer: NodeJS.Timeout | undefined

  constructor(options: DevScreenOptions) {
    this.#options = options
    this.#log = new LineWriter(options.log)
    this.#results = new LineWriter(options.results)
  }

  show(event: DevEvent): void {
    if (!isShown(event, this.#options.level)) return
    if (event.event === 'request') this.#request(event)
    else if (event.event === 'ready') this.#banner(event)
    else this.#event(event)
  }

  /** A line of the command's own, such as an answer to a key. */
  say(line: string): void {
    this.#log.soon(() => line)
  }

  /** Clears the terminal, scroll-back kept. */
  clear(): void {
    this.say('\u001b[2J\u001b[H')
    this.#log.flush()
  }

  /** Writes what waits: before the process ends. */
  flush(): void {
    clearTimeout(this.#summaryTimer)
    this.#summarise()
    this.#sayRepeats()
    this.#log.flush()
    this.#results.flush()
  }

  #banner(event: Extract<DevEvent, { event: 'ready' }>): void {
    this.#tables = tablesOf(event)
    this.#log.soon(() => bannerLines({ ...this.#options, ...event }).join('\n'))
  }

  #event(event: LineEvent): void {
    if (event.event === 'fault' && this.#faults.isRepeat(event)) {
      this.#repeatTimer ??= setTimeout(() => this.#sayRepeats(), REPEAT_MS)
      return
    }
    this.#sayRepeats()
    if (event.event === 'fault') this.#faults.remember(event)
    const isKnown = event.event === 'configuration' && this.#isKnown(event)
    this.#log.soon(() => {
      if (isKnown) return configurationLine(event, this.#options.paint)
      const lines = eventLines(event, this.#options)
      return lines.length === 0 ? undefined : lines.join('\n')
    })
  }

  #isKnown(event: Extract<DevEvent, { event: 'configuration' }>): boolean {
    const before = this.#tables
    this.#tables = tablesOf(event)
    return this.#tables === before
  }

  #sayRepeats(): void {
    clearTimeout(this.#repeatTimer)
    this.#repeatTimer = undefined
    const count = this.#faults.take()
    if (count > 0)
      this.say(this.#options.paint.dim(`  the same ${count === 1 ? 'once' : `${count} times`} more`))
  }

  #request(record: AccessRecord): void {
    const time = new Date()
    const { accessFormat, paint, log } = this.#options
    if (accessFormat !== undefined) {
      this.#results.eventually(() => accessFormat(record, time))
      return
    }
    // A file or a pipe gets every line; only a person is spared.
    if (log.isTTY !== true || this.#burst.shows(record.status, time.getTime())) {
      this.#log.eventually(() => accessLine(record, time, paint))
      return
    }
    this.#summaryTimer ??= setTimeout(() => this.#summarise(), this.#burst.dueInMs(time.getTime()))
  }

  #summarise(): void {
    this.#summaryTimer = undefined
    const line = this.#burst.summary(Date.now(), this.#options.paint)
    if (line !== undefined) this.say(line)
  }
}

/** How long after a fault the same fault is only counted. */
const REPEAT_MS = 1_000

/** A function that fails on every request says it once a second, not 20,000 times. */
class Repeats {
  #key: string | undefined
  #since = 0
  #count = 0

  isRepeat(fault: Extract<DevEvent, { event: 'fault' }>): boolean {
    if (this.#key !== keyOf(fault) || Date.now() - this.#since >= REPEAT_MS) return false
    this.#count += 1
    return true
  }

  remember(fault: Extract<DevEvent, { event: 'fault' }>): void {
    this.#key = keyOf(fault)
    this.#since = Date.now()
  }

  /** How often the last fault was swallowed; counts anew. */
  take(): number {
    const count = this.#count
    this.#count = 0
    this.#key = undefined
    return count
  }
}

function tablesOf({ functions, routes }: Extract<DevEvent, { event: 'ready' | 'configuration' }>): string {
  return JSON.stringify([functions, routes])
}

function keyOf(fault: Extract<DevEvent, { event: 'fault' }>): string {
  return [fault.function, fault.kind, fault.name, fault.message].join('\0')
}
