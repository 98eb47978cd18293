import type { Config } from '../configuration.ts'

export interface HeartbeatOptions {
  /** How long the runtime may be without a sign of life. */
  readonly limitMs: number
  readonly probe: () => Promise<boolean>
  readonly onStuck: () => void
}

const BEAT_MS_MIN = 1_000
const BEAT_MS_MAX = 5_000
/** One missed beat may be a busy machine. */
const MISSED_MIN = 2

/** Whether the runtime calls this worker by itself, without anybody asking: then nobody would notice that it hangs. */
export function runsByItself({ queues, durable_objects, workflows }: Config): boolean {
  return (queues.consumers ?? []).length > 0 || durable_objects.bindings.length > 0 || workflows.length > 0
}

/**
 * Looks now and then whether a runtime still reacts in which consumers, alarms or workflows run: one of them that computes without a
 * pause keeps all others from running. Requests and triggers have a watch of their own.
 */
export function startHeartbeat({ limitMs, probe, onStuck }: HeartbeatOptions): () => void {
  const beatMs = Math.min(Math.max(limitMs, BEAT_MS_MIN), BEAT_MS_MAX)
  // Beats are counted and not time: a machine that slept has not waited.
  let missed = 0
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const beat = async (): Promise<void> => {
    missed = (await probe()) ? 0 : missed + 1
    if (stopped) return
    if (missed >= MISSED_MIN && missed * beatMs > limitMs) onStuck()
    else arm()
  }
  const arm = (): void => {
    timer = setTimeout(() => void beat(), beatMs).unref()
  }
  arm()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
