/**
 * The process a native library runs in: a crash or an endless loop of it ends this process and nothing else.
 * The server starts it with the number of threads as its argument and sends one setup frame, then calls.
 */
import { writeSync } from 'node:fs'
import { isMainThread, workerData } from 'node:worker_threads'

import { createCaller, frameOf, type Caller } from './caller.ts'
import { ChannelEnded, createShared, readFrame, viewShared, WORD, writeFrame } from './inbox.ts'
import {
  exitOrderly,
  exitProcess,
  mapFile,
  skipTeardown,
  unbufferStdout,
  unloadLibrary,
  wordsAt,
  type Address,
} from './memory.ts'
import { serveCalls, startHelper, type HelperData } from './threads.ts'
import { FROM_CHILD, type Setup } from './wire.ts'

/** sysexits.h: software error, ours. */
const EXIT_BUG = 70
/** Longer than the server waits before it kills a process that it cannot reach. */
const UNREACHABLE_MS_MAX = 5_000

const helper = isMainThread ? undefined : (workerData as HelperData)
const shared = helper === undefined ? createShared() : viewShared(helper.memory)
let loaded: string | undefined

try {
  if (helper === undefined) runMain(Number(process.argv[2] ?? 1))
  else runHelper(helper)
} catch (error) {
  if (error instanceof ChannelEnded) {
    const idle = Atomics.load(shared.words, WORD.calling) === 0
    if (loaded !== undefined && idle && !unloadLibrary(loaded)) exitOrderly()
    exitProcess(0)
  }
  // The library has closed our channel. The server has seen it, and ends this process; that it still runs says what happened.
  if (isBadDescriptor(error)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, UNREACHABLE_MS_MAX)
  writeSync(2, `flexi: ${error instanceof Error ? error.stack : String(error)}\n`)
  exitProcess(EXIT_BUG)
}

/** The main thread calls too: a child with one thread has no other, and starts the sooner. */
function runMain(threadsMax: number): void {
  unbufferStdout()
  skipTeardown()
  Atomics.store(shared.words, WORD.threads, 1)
  // Starts while this thread waits for the setup: whoever gets stuck first has a helper.
  startHelper(shared, threadsMax)
  const setup = JSON.parse(readFrame().toString()) as Setup
  let caller: Caller
  try {
    caller = createCaller(setup)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    writeFrame(shared, frameOf(FROM_CHILD.failed, 0, message))
    exitProcess(0)
  }
  loaded = setup.library
  const recorder = mapFile(setup.recorder, threadsMax * 4)
  handSetup({ ...setup, recorder })
  writeFrame(shared, frameOf(FROM_CHILD.loaded, 0, JSON.stringify(caller.loaded)))
  serveCalls({ shared, caller, index: 0, threadsMax, running: wordsAt(recorder, threadsMax) })
}

function isBadDescriptor(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EBADF'
}

/** What helpers get: the recorder's file has lost its name by then, its memory is everyone's. */
type HelperSetup = Omit<Setup, 'recorder'> & { readonly recorder: Address }

function handSetup(content: HelperSetup): void {
  const { setup, words } = shared
  const { written } = new TextEncoder().encodeInto(JSON.stringify(content), setup)
  Atomics.store(words, WORD.setupBytes, written)
  Atomics.notify(words, WORD.setupBytes)
}

function runHelper({ index, threadsMax }: HelperData): void {
  Atomics.wait(shared.words, WORD.setupBytes, 0)
  const text = Buffer.from(shared.setup.slice(0, Atomics.load(shared.words, WORD.setupBytes)))
  const { recorder, ...setup } = JSON.parse(text.toString()) as HelperSetup
  loaded = setup.library
  const running = wordsAt(recorder, threadsMax)
  serveCalls({ shared, caller: createCaller(setup), index, threadsMax, running })
}
