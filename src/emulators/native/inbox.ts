import { readSync, writeSync } from 'node:fs'

import type { Caller, Place } from './caller.ts'
import { HEAD_BYTES, TO_CHILD } from './wire.ts'

/** Words of the memory that all threads of a child share. */
export const WORD = {
  /** FREE, HELD or READING. */
  readLock: 0,
  writeLock: 1,
  /** Unread bytes of the inbox lie from `start` to `end`. */
  start: 2,
  end: 3,
  /** Calls begun, by all threads. */
  calls: 4,
  /** Bumped to wake a parked thread. */
  wake: 5,
  /** Parked threads, the monitor included. */
  parked: 6,
  /** 1 while a parked thread looks whether the others are stuck. */
  monitored: 7,
  /** 1 while that thread sleeps without an end, because nothing happens. */
  monitorAsleep: 8,
  /** Above 0 while calls are long enough to be worth another thread's wake-up. */
  slow: 9,
  threads: 10,
  /** Bytes of the setup text once it is known; helpers wait for it. */
  setupBytes: 11,
  /** Bumped to wake the monitor. */
  wakeMonitor: 12,
  /** Threads that are in a call. */
  calling: 13,
  count: 16,
} as const

const FREE = 0
const HELD = 1
/** Held by a thread that is blocked in read(): whoever else wants work is not needed. */
export const READING = 2

const SETUP_BYTES_MAX = 16 * 1024
const INBOX_BYTES = 256 * 1024
const CHANNEL = 3
const SPINS = 200

export interface Shared {
  readonly memory: SharedArrayBuffer
  readonly words: Int32Array
  readonly setup: Uint8Array
  readonly inbox: Buffer
}

export function createShared(): Shared {
  return viewShared(new SharedArrayBuffer(WORD.count * 4 + SETUP_BYTES_MAX + INBOX_BYTES))
}

export function viewShared(memory: SharedArrayBuffer): Shared {
  const setupAt = WORD.count * 4
  return {
    memory,
    words: new Int32Array(memory, 0, WORD.count),
    setup: new Uint8Array(memory, setupAt, SETUP_BYTES_MAX),
    inbox: Buffer.from(memory, setupAt + SETUP_BYTES_MAX, INBOX_BYTES),
  }
}

/** Takes the right to read, unless another thread already waits for requests. */
export function claimReading({ words }: Shared): boolean {
  for (let spins = 0; ; spins += 1) {
    const held = Atomics.compareExchange(words, WORD.readLock, FREE, HELD)
    if (held === FREE) return true
    if (held === READING) return false
    if (spins > SPINS) Atomics.wait(words, WORD.readLock, HELD, 1)
  }
}

/** Takes the next request into the thread's own memory and gives its number; blocks until there is one, then lets others read. */
export function takeCall(shared: Shared, caller: Caller): number {
  const { words, inbox } = shared
  for (;;) {
    while (unread(words) < HEAD_BYTES) fill(shared)
    const start = Atomics.load(words, WORD.start)
    const bytes = inbox.readUInt32LE(start)
    const kind = inbox.readUInt32LE(start + 4)
    const id = inbox.readUInt32LE(start + 8)
    Atomics.store(words, WORD.start, start + HEAD_BYTES)
    // A batch is nothing but its frames.
    if (kind === TO_CHILD.batch) continue
    takePayload(shared, caller.room(bytes), bytes)
    Atomics.store(words, WORD.readLock, FREE)
    return id
  }
}

function unread(words: Int32Array): number {
  return Atomics.load(words, WORD.end) - Atomics.load(words, WORD.start)
}

function takePayload(shared: Shared, place: Place, bytes: number): void {
  const { words, inbox } = shared
  const start = Atomics.load(words, WORD.start)
  const ready = Math.min(unread(words), bytes)
  inbox.copy(place.bytes, place.at, start, start + ready)
  Atomics.store(words, WORD.start, start + ready)
  if (ready === bytes) return
  // The rest of a large one goes straight into its place.
  Atomics.store(words, WORD.readLock, READING)
  for (let done = ready; done < bytes;) done += readSome(place.bytes, place.at + done, bytes - done)
  Atomics.store(words, WORD.readLock, HELD)
}

function fill({ words, inbox }: Shared): void {
  const start = Atomics.load(words, WORD.start)
  const rest = unread(words)
  if (rest > 0) inbox.copyWithin(0, start, start + rest)
  Atomics.store(words, WORD.start, 0)
  Atomics.store(words, WORD.end, rest)
  Atomics.store(words, WORD.readLock, READING)
  const read = readSome(inbox, rest, inbox.length - rest)
  Atomics.store(words, WORD.readLock, HELD)
  Atomics.store(words, WORD.end, rest + read)
  if (Atomics.load(words, WORD.monitorAsleep) === 1) wakeMonitor(words)
}

/** The server is gone, or wants this child gone. */
export class ChannelEnded extends Error {}

function readSome(target: Buffer, offset: number, bytes: number): number {
  const read = readSync(CHANNEL, target, offset, bytes, null)
  if (read === 0) throw new ChannelEnded('the channel has ended')
  return read
}

/** Reads one whole frame before any thread calls: the setup. */
export function readFrame(): Buffer {
  const head = readExactly(HEAD_BYTES)
  return readExactly(head.readUInt32LE(0))
}

function readExactly(bytes: number): Buffer {
  const target = Buffer.alloc(bytes)
  for (let offset = 0; offset < bytes;) offset += readSome(target, offset, bytes - offset)
  return target
}

/** Sends a frame; those of different threads do not mix. */
export function writeFrame({ words }: Shared, frame: Buffer): void {
  for (let spins = 0; Atomics.compareExchange(words, WORD.writeLock, 0, 1) !== 0; spins += 1) {
    if (spins > SPINS) Atomics.wait(words, WORD.writeLock, 1, 1)
  }
  try {
    for (let offset = 0; offset < frame.length;) offset += writeSync(CHANNEL, frame, offset)
  } finally {
    Atomics.store(words, WORD.writeLock, 0)
  }
}

/** Wakes one parked thread; the monitor only when no other is parked. */
export function wakeOne(words: Int32Array): void {
  Atomics.add(words, WORD.wake, 1)
  if (Atomics.notify(words, WORD.wake, 1) === 0) wakeMonitor(words)
}

function wakeMonitor(words: Int32Array): void {
  Atomics.add(words, WORD.wakeMonitor, 1)
  Atomics.notify(words, WORD.wakeMonitor, 1)
}
