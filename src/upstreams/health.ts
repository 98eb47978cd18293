import { errorMessage } from '../core/errors.ts'
import type { HealthCheckSettings } from '../core/upstream.ts'
import type { Circuit } from './circuit.ts'

const INTERVAL_MS = 5_000
const TIMEOUT_MS = 2_000
const PASSES = 2
const FAILS = 3
const GOOD_STATUS = [200, 399] as const
/** Checks of many origins that began together drift apart by up to this share of their interval. */
const JITTER = 0.1

/** Asks for a path and resolves with the status of the answer. */
export type Probe = (path: string, timeoutMs: number) => Promise<number>

/** Who hears what the checks say; it is told again what it knows. */
type Told = Pick<Circuit, 'checkPassed' | 'checkFailed'>

/**
 * Checks an origin at once and then again and again. The first check decides alone; later ones need as many in a row
 * as the settings say. Its timer keeps no process alive.
 */
export class HealthCheck implements Disposable {
  readonly #settings: HealthCheckSettings
  readonly #circuit: Told
  readonly #probe: Probe
  #timer: NodeJS.Timeout | undefined
  #streak = 0
  #lastGood: boolean | undefined
  #stopped = false

  constructor(settings: HealthCheckSettings, circuit: Told, probe: Probe) {
    this.#settings = settings
    this.#circuit = circuit
    this.#probe = probe
    void this.#check()
  }

  async #check(): Promise<void> {
    const { path, timeoutMs = TIMEOUT_MS, status: [first, last] = GOOD_STATUS } = this.#settings
    let reason: string | undefined
    try {
      const status = await this.#probe(path, timeoutMs)
      if (status < first || status > last) reason = `${path} answered ${status}`
    } catch (error) {
      reason = errorMessage(error)
    }
    if (this.#stopped) return
    this.#record(reason)
    this.#schedule()
  }

  #record(reason: string | undefined): void {
    const good = reason === undefined
    const isFirst = this.#lastGood === undefined
    this.#streak = good === this.#lastGood ? this.#streak + 1 : 1
    this.#lastGood = good
    const { passes = PASSES, fails = FAILS } = this.#settings
    if (!isFirst && this.#streak < (good ? passes : fails)) return
    if (good) this.#circuit.checkPassed()
    else this.#circuit.checkFailed(reason)
  }

  #schedule(): void {
    const { intervalMs = INTERVAL_MS } = this.#settings
    const delay = intervalMs * (1 - JITTER + 2 * JITTER * Math.random())
    this.#timer = setTimeout(() => void this.#check(), delay)
    this.#timer.unref()
  }

  [Symbol.dispose](): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }
}

/** Seconds after which a client may find an origin up again. */
export function secondsToNextCheck(settings: HealthCheckSettings | undefined): number {
  return settings === undefined ? 1 : Math.max(1, Math.ceil((settings.intervalMs ?? INTERVAL_MS) / 1_000))
}
