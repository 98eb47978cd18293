import { Worker } from 'node:worker_threads'

import type { Caller } from './caller.ts'
import { claimReading, READING, takeCall, wakeOne, WORD, writeFrame, type Shared } from './inbox.ts'

/**
 * How the threads of a child share its requests.
 *
 * The thread that reads also calls, and goes on reading: as long as calls take microseconds one thread serves whole batches
 * without waking anyone, which is several times faster than any hand-over between threads (docs/native.md has the measurements).
 * A parked thread looks every millisecond; when the reading thread is stuck in a call it takes over reading. Once calls have
 * been seen to be long, a thread that enters one wakes the next reader at once.
 */

/** A call this long is worth waking another thread for, which costs about a tenth of it. */
const SLOW_MICROS = 50
/** Short calls in a row after which one thread is enough again. */
const SLOW_CALLS = 64
const TICK_MS = 1
/** Ticks without a request after which the monitor sleeps until the next one. */
const QUIET_TICKS = 50

export interface CallThread {
  readonly shared: Shared
  readonly caller: Caller
  readonly index: number
  readonly threadsMax: number
  /** The request each thread is in; the server reads it when this process has died. */
  readonly running: Uint32Array
}

/** @throws ChannelEnded when the server closes the channel. */
export function serveCalls(thread: CallThread): never {
  for (;;) {
    if (claimReading(thread.shared)) serveNext(thread)
    else park(thread.shared.words)
  }
}

function serveNext(thread: CallThread): void {
  const { shared, caller, index, running } = thread
  const { words } = shared
  const id = takeCall(shared, caller)
  running[index] = id
  Atomics.add(words, WORD.calls, 1)
  Atomics.add(words, WORD.calling, 1)
  const slow = Atomics.load(words, WORD.slow)
  handOver(thread, slow > 0)
  const startedAt = performance.now()
  writeFrame(shared, caller.call(id))
  caller.release()
  const long = (performance.now() - startedAt) * 1000 > SLOW_MICROS
  running[index] = 0
  Atomics.sub(words, WORD.calling, 1)
  if (long) Atomics.store(words, WORD.slow, SLOW_CALLS)
  else if (slow > 0) Atomics.store(words, WORD.slow, slow - 1)
}

/** Sees to it that somebody reads while this thread calls, if the call may be long; and that somebody watches, if not. */
function handOver({ shared, threadsMax }: CallThread, slow: boolean): void {
  const { words } = shared
  if (Atomics.load(words, WORD.parked) > 0) {
    if (slow || Atomics.load(words, WORD.monitored) === 0) wakeOne(words)
    return
  }
  // All threads are busy for the first time: the rest of them is made now. A child that never blocks pays for two.
  if (slow || Atomics.load(words, WORD.calling) > 1) while (startHelper(shared, threadsMax));
}

/** Waits until this thread is needed. One of the parked threads keeps looking whether the others are stuck. */
function park(words: Int32Array): void {
  const seen = Atomics.load(words, WORD.wake)
  Atomics.add(words, WORD.parked, 1)
  const monitors = Atomics.compareExchange(words, WORD.monitored, 0, 1) === 0
  if (!monitors) Atomics.wait(words, WORD.wake, seen)
  else if (monitor(words)) Atomics.store(words, WORD.slow, SLOW_CALLS)
  Atomics.sub(words, WORD.parked, 1)
  if (monitors) Atomics.store(words, WORD.monitored, 0)
}

/** Returns true when no thread has read or begun a call for a whole tick, false when woken. */
function monitor(words: Int32Array): boolean {
  let calls = -1
  for (let quiet = 0; ;) {
    const seen = Atomics.load(words, WORD.wakeMonitor)
    const begun = Atomics.load(words, WORD.calls)
    const reading = Atomics.load(words, WORD.readLock) === READING
    if (!reading && begun === calls) return true
    quiet = reading && begun === calls ? quiet + 1 : 0
    calls = begun
    const long = quiet > QUIET_TICKS
    if (!sleepAsMonitor(words, seen, long)) return false
    // What happens after a long sleep is compared with itself only.
    if (long) quiet = calls = -1
  }
}

/** False when woken to read; a monitor that slept long goes on monitoring. */
function sleepAsMonitor(words: Int32Array, seen: number, long: boolean): boolean {
  if (!long) return Atomics.wait(words, WORD.wakeMonitor, seen, TICK_MS) === 'timed-out'
  Atomics.store(words, WORD.monitorAsleep, 1)
  // Looked at once more: a reader that got its request just before saw no reason to wake us.
  const quiet = Atomics.load(words, WORD.readLock) === READING
  Atomics.wait(words, WORD.wakeMonitor, seen, quiet ? Infinity : TICK_MS)
  Atomics.store(words, WORD.monitorAsleep, 0)
  return true
}

export interface HelperData {
  readonly memory: SharedArrayBuffer
  readonly index: number
  readonly threadsMax: number
}

/** One more thread, unless all are there. Its first act is to wait for the setup. */
export function startHelper(shared: Shared, threadsMax: number): boolean {
  const index = Atomics.add(shared.words, WORD.threads, 1)
  if (index >= threadsMax) {
    Atomics.sub(shared.words, WORD.threads, 1)
    return false
  }
  new Worker(new URL(import.meta.resolve('#host/native')), {
    workerData: { memory: shared.memory, index, threadsMax } satisfies HelperData,
  })
  return true
}
