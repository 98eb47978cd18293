import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'

import { ExitError } from '@oclif/core/errors'

import { FlexiError } from '../core/errors.ts'
import type { DaemonClient } from '../daemon/client/client.ts'
import type { LogRecord } from '../daemon/model.ts'
import type { LogFilter } from '../daemon/runtime.ts'
import { warn } from './client-options.ts'

/** A daemon that restarts is back within a moment; one that is gone is asked less and less often. */
const WAITS_MS = [250, 500, 1000, 2000, 5000]

/** More than every wait together, before somebody has to know. */
const TRIES_MAX = 60

/**
 * A function's log. Followed, it outlives the connection: after a restart of the daemon it goes on behind the last line that was seen.
 * @throws FlexiError what the daemon refuses, and FLEXI_DAEMON when it stays away for five minutes.
 */
export async function* followLogs(
  client: Pick<DaemonClient, 'logs'>,
  filter: Omit<LogFilter, 'signal'>,
): AsyncGenerator<LogRecord, void, undefined> {
  const seen = new LastSeen()
  for (let failures = 0; ; failures++) {
    try {
      for await (const record of seen.unknown(client.logs(seen.restOf(filter)))) {
        failures = 0
        yield record
      }
      if (filter.follow !== true) return
    } catch (error) {
      if (!isBreak(error, filter) || !seen.any || failures >= TRIES_MAX) throw error
    }
    if (failures === 0) warn('the connection to the daemon broke off; waiting for it')
    await wait(WAITS_MS[Math.min(failures, WAITS_MS.length - 1)])
  }
}

const LIMIT_MAX = 100_000

function isBreak(error: unknown, { follow }: Pick<LogFilter, 'follow'>): boolean {
  return follow === true && error instanceof FlexiError && error.code === 'FLEXI_DAEMON'
}

/** How far a log was read, so that another connection goes on there. */
class LastSeen {
  #at: number | undefined
  /** What was printed in that millisecond: asked for again, it comes again. */
  readonly #texts = new Map<string, number>()
  /** Whether a connection was ever there: nothing is waited for that never was. */
  any = false

  restOf(filter: Omit<LogFilter, 'signal'>): Omit<LogFilter, 'signal'> {
    return this.#at === undefined ? filter : { ...filter, since: this.#at, limit: LIMIT_MAX }
  }

  async *unknown(records: AsyncIterable<LogRecord>): AsyncGenerator<LogRecord, void, undefined> {
    const again = new Map(this.#texts)
    for await (const record of records) {
      this.any = true
      const text = JSON.stringify(record)
      const left = record.at === this.#at ? (again.get(text) ?? 0) : 0
      if (left > 0) again.set(text, left - 1)
      else {
        this.#remember(record.at, text)
        yield record
      }
    }
  }

  #remember(at: number, text: string): void {
    if (at !== this.#at) this.#texts.clear()
    this.#at = at
    this.#texts.set(text, (this.#texts.get(text) ?? 0) + 1)
  }
}

/** Lines to standard output, no faster than its reader reads. */
export async function printLines(
  records: AsyncIterable<LogRecord>,
  show: (record: LogRecord) => string,
): Promise<void> {
  const gone = new AbortController()
  // Who reads, `head` say, has had enough.
  const onError = (error: NodeJS.ErrnoException): void =>
    gone.abort(error.code === 'EPIPE' ? new ExitError(0) : error)
  process.stdout.on('error', onError)
  try {
    for await (const record of records) {
      gone.signal.throwIfAborted()
      if (!process.stdout.write(`${show(record)}\n`))
        await once(process.stdout, 'drain', { signal: gone.signal }).catch(() => gone.signal.throwIfAborted())
    }
  } finally {
    process.stdout.off('error', onError)
  }
}
