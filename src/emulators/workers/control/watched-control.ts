import type { Control } from './control.ts'

export interface TriggerWatch {
  /** How long a handler of the worker of this name may take before anybody looks whether the runtime still reacts. */
  limitMs(worker: string): number
  probe(): Promise<boolean>
  /** A person stands at a breakpoint, or may. */
  paused(): boolean
  /** A handler of this worker does not come to an end: ends the runtime. */
  onStuck(worker: string): Promise<void>
}

export interface WatchedControl extends Control {
  /** Resolves when no handler runs that was triggered, or at the limit. */
  idle(limitMs: number): Promise<void>
}

/**
 * A control whose triggers are looked after as requests are: a handler that waits for something may, one that computes without a pause
 * ends the runtime, and a runtime that is replaced lets them end.
 */
export function watchTriggers(control: Control, watch: TriggerWatch): WatchedControl {
  const running = new Set<Promise<unknown>>()
  const run = async (worker: string, ask: () => ReturnType<Control['ask']>): ReturnType<Control['ask']> => {
    const stop = startWatch(worker, watch)
    const answer = ask()
    running.add(answer)
    try {
      return await answer
    } finally {
      running.delete(answer)
      stop()
    }
  }
  return {
    async ask(request) {
      const worker = triggeredWorker(request.target)
      return worker === undefined ? control.ask(request) : run(worker, () => control.ask(request))
    },
    idle: (limitMs) => within(Promise.allSettled(running), limitMs),
  }
}

/** `/trigger/scheduled?worker=edge` → `edge` */
function triggeredWorker(target: string): string | undefined {
  if (!target.startsWith('/trigger/')) return undefined
  return new URLSearchParams(target.slice(target.indexOf('?'))).get('worker') ?? undefined
}

function startWatch(worker: string, watch: TriggerWatch): () => void {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const arm = (): void => {
    if (!stopped) timer = setTimeout(() => void look(), watch.limitMs(worker)).unref()
  }
  const look = async (): Promise<void> => {
    if (watch.paused() || (await watch.probe())) arm()
    else if (!stopped) await watch.onStuck(worker)
  }
  arm()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}

async function within(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs)
  })
  await Promise.race([work, late])
  clearTimeout(timer)
}
