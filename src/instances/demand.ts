import { readFileSync } from 'node:fs'

import type { Instance } from '../core/function.ts'

/** Above this share of a processor, on average, instances compute; below it they wait for something. */
const COMPUTES = 0.5
/** An older sample says nothing of this moment. */
const STALE_MS = 200

interface Sample {
  /** On the clock of `performance.now()`. */
  readonly at: number
  readonly processorMs: number
}

/** `measuring`: ask again in a moment. `unknown`: the system does not tell. */
export type Demand = 'computes' | 'waits' | 'measuring' | 'unknown'

/** Tells instances that want a processor from those that wait for something else, where more of them would help. */
export class DemandMeter {
  readonly #samples = new WeakMap<Instance, Sample>()

  of(busy: readonly Instance[], now = performance.now()): Demand {
    const shares = busy.map((instance) => this.#share(instance, now))
    const measured = shares.filter((share) => typeof share === 'number')
    if (measured.length === 0) return shares.includes('measuring') ? 'measuring' : 'unknown'
    const mean = measured.reduce((sum, share) => sum + share, 0) / measured.length
    return mean >= COMPUTES ? 'computes' : 'waits'
  }

  /** Of one processor, since it was last asked for. */
  #share(instance: Instance, now: number): number | 'measuring' | 'unknown' {
    const processorMs = instance.processorMs?.()
    if (processorMs === undefined) return 'unknown'
    const before = this.#samples.get(instance)
    this.#samples.set(instance, { at: now, processorMs })
    if (before === undefined || now - before.at > STALE_MS || now === before.at) return 'measuring'
    return (processorMs - before.processorMs) / (now - before.at)
  }
}

/**
 * Milliseconds that the main thread of a process has run, or stood ready to run while others did. Undefined where the system does not
 * tell (not Linux) or the process is gone. Source: proc(5), schedstat.
 */
export function wantedProcessorMs(pid: number): number | undefined {
  try {
    const [ran = '', stood = ''] = readFileSync(`/proc/${pid}/schedstat`, 'ascii').split(' ')
    return (Number(ran) + Number(stood)) / 1e6
  } catch {
    return undefined
  }
}
