import { availableParallelism } from 'node:os'

/** Starts of functions at once: more of them only wait for each other's processors, and are late by their limit. */
export const STARTS_AT_ONCE = Math.max(2, availableParallelism())

/** Runs a task for each, so many at a time and in their order. The task deals with what fails. */
export async function atOnce<T>(
  items: readonly T[],
  width: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values()
  const work = async (): Promise<void> => {
    for (const item of left) await task(item)
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, work))
}
