/** A histogram that costs an addition: how many values fell between two bounds, and their sum. All values are in seconds. */
export class Buckets {
  readonly bounds: readonly number[]
  /** One more than there are bounds: the last is of values above all of them. Not cumulative. */
  readonly counts: Float64Array
  sum = 0

  /** `bounds` ascend; a value that equals one is below it. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  add(seconds: number): void {
    const { bounds, counts } = this
    // From below: most answers take no longer than the first bounds say.
    let at = 0
    while (at < bounds.length && seconds > (bounds[at] ?? Infinity)) at += 1
    counts[at] = (counts[at] ?? 0) + 1
    this.sum += seconds
  }
}

/** From 1 ms, which a static answer takes, to the 60 s that a request may take. */
export const REQUEST_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const

/** From the swap of a library to a bundle of thousands of modules. */
export const RELOAD_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const
