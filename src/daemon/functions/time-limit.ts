import type { FlexiError } from '../../core/errors.ts'

/** The task's outcome, or the error after so many ms; the task is then left to itself. */
export async function inTime<Result>(
  task: Promise<Result>,
  limitMs: number,
  late: () => FlexiError,
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), limitMs)
  })
  try {
    return await Promise.race([task, limit])
  } finally {
    clearTimeout(timer)
  }
}

/** The task's outcome, or the signal's reason; the task is then left to itself. */
export async function untilAborted<Result>(task: Promise<Result>, signal: AbortSignal): Promise<Result> {
  let leave: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason as Error)
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
  })
  try {
    return await Promise.race([task, aborted])
  } finally {
    if (leave !== undefined) signal.removeEventListener('abort', leave)
  }
}
