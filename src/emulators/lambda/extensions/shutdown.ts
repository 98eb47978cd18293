import type { Environment } from '../environments/environment.ts'

export type ShutdownReason = 'spindown' | 'timeout' | 'failure'

/** What an environment with extensions has for its end; the runtime gets a part of it. Source: Lambda guide, Extensions API. */
export const SHUTDOWN_MS = 2000
const RUNTIME_PART = 0.3

/** Ends the runtime: at once, or with a word of warning where extensions give it the time. */
export async function endRuntime(
  runtime: Environment,
  { gone, isGraceful }: { readonly gone: Promise<void>; readonly isGraceful: boolean },
): Promise<void> {
  if (isGraceful && runtime.terminate?.() === true) await within(SHUTDOWN_MS * RUNTIME_PART, gone)
  await runtime.kill()
}

/** Environments that are about to end, by their function. */
const endings = new WeakMap<object, Set<Promise<void>>>()

/** Until it has ended, the next environment of the function does not start: both may want the same port. */
export function noteEnding(scope: object, ending: Promise<void>): void {
  const noted = endings.get(scope) ?? new Set()
  endings.set(scope, noted)
  noted.add(ending)
  void ending.finally(() => noted.delete(ending))
}

export async function othersHaveEnded(scope: object): Promise<void> {
  const noted = endings.get(scope)
  if (noted !== undefined) await Promise.all(noted)
}

/** Waits, but not longer than so. */
export async function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, limitMs))
  })
  await Promise.race([work, over])
  clearTimeout(timer)
}
