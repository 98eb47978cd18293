/**
 * Raw memory of this process, through koffi: a library's child imports this, and the server only for libraries it runs itself.
 * Addresses are plain numbers; user space ends below 2^53 on every system Node runs on.
 */
import { openSync, closeSync } from 'node:fs'

import koffi, { type KoffiFunc, type LibraryHandle } from 'koffi'

export type Address = number

const process_ = koffi.load(null)
const memcpy = process_.func('memcpy', 'size_t', ['size_t', 'size_t', 'size_t'])

/** Where the bytes are. They stay there as long as the view is referenced: V8 never moves off-heap memory. */
export function addressOf(view: Uint8Array): Address {
  return Number(koffi.address(view))
}

/**
 * Off-heap whatever its size: V8 keeps small typed arrays on its own heap, where they move. What is in it is undefined.
 * @throws RangeError when there is no such memory.
 */
export function allocate(bytes: number): Buffer {
  return Buffer.allocUnsafeSlow(Math.max(bytes, 128))
}

export function copyMemory(to: Address, from: Address, bytes: number): void {
  memcpy(to, from, bytes)
}

export function openLibrary(path: string): LibraryHandle {
  return koffi.load(path)
}

/** A symbol as a callable, or undefined when the library does not export it. */
export function findFunction(
  library: LibraryHandle,
  name: string,
  signature: { readonly result: string; readonly parameters: string[] },
): KoffiFunc<(...values: number[]) => number> | undefined {
  try {
    return library.func(name, signature.result, signature.parameters)
  } catch {
    return undefined
  }
}

export interface FunctionPointer {
  readonly address: Address
  /** It may not be called any more. */
  release(): void
}

/** A C function pointer that runs `callback` on this thread. */
export function functionPointer(
  callback: (...values: number[]) => number,
  result: string,
  parameters: string[],
): FunctionPointer {
  const pointer = koffi.register(callback, koffi.pointer(koffi.proto(result, parameters)))
  return { address: Number(pointer), release: () => koffi.unregister(pointer) }
}

const PROT_READ_WRITE = 3
const MAP_SHARED = 1

/** Memory shared with whoever else maps or reads the file; it outlives a crash of this process. */
export function mapFile(path: string, bytes: number): Address {
  const mmap = process_.func('mmap', 'size_t', ['size_t', 'size_t', 'int', 'int', 'int', 'size_t'])
  const file = openSync(path, 'r+')
  try {
    const address = Number(mmap(0, bytes, PROT_READ_WRITE, MAP_SHARED, file, 0))
    if (address > Number.MAX_SAFE_INTEGER) throw new Error(`${path} cannot be mapped`)
    return address
  } finally {
    closeSync(file)
  }
}

/** Memory that no view owns. */
export function wordsAt(address: Address, count: number): Uint32Array {
  return new Uint32Array(koffi.view(BigInt(address), count * 4))
}

const LINE_BUFFERED = 1

/** A library's printf shows at once, and is not lost in a crash: stdio buffers whole blocks when its output is a pipe. */
export function unbufferStdout(): void {
  const name = process.platform === 'darwin' ? '__stdoutp' : 'stdout'
  try {
    const stdout = Number(koffi.decode(process_.symbol(name), 'size_t'))
    process_.func('setvbuf', 'int', ['size_t', 'size_t', 'int', 'size_t'])(stdout, 0, LINE_BUFFERED, 0)
  } catch {
    // A C library without this symbol only means later lines.
  }
}

const RTLD_LAZY = 1
const RTLD_NOLOAD = process.platform === 'darwin' ? 0x10 : 4

/** Times a library can have been opened; each thread does it once. */
const HANDLES_MAX = 1_000

/**
 * Lets go of a library in all threads: its destructors run. Nothing of it may be called or running.
 * False when it stays: C++ with inline statics marks itself as never to be unloaded.
 */
export function unloadLibrary(path: string): boolean {
  const dlopen = process_.func('dlopen', 'size_t', ['str', 'int'])
  const dlclose = process_.func('dlclose', 'int', ['size_t'])
  for (let turn = 0; turn < HANDLES_MAX; turn += 1) {
    const handle = Number(dlopen(path, RTLD_LAZY | RTLD_NOLOAD))
    if (handle === 0) return true
    dlclose(handle)
    dlclose(handle)
  }
  return false
}

/**
 * Ends the process at once, from any thread; `process.exit` would only end the thread.
 * Node is not taken down in order: its other threads are blocked, and nothing of it needs to be saved.
 */
export function exitProcess(code: number): never {
  process_.func('fflush', 'int', ['size_t'])(0)
  process_.func('_exit', 'void', ['int'])(code)
  throw new Error('_exit() returned')
}

/** Ends the process as `exitProcess` does, after the destructors of objects in C++ libraries that could not be unloaded. */
export function exitOrderly(): void {
  process_.func('exit', 'void', ['int'])(0)
}

/**
 * A library that calls exit() ends the process with that code: Node's own teardown, which does not expect its other threads to be
 * blocked and now and then aborts, is cut off. Call it before the library is loaded, so that the library's own handlers run first.
 */
export function skipTeardown(): void {
  try {
    const end = Number(process_.symbol('_exit'))
    process_.func('on_exit', 'int', ['size_t', 'size_t'])(end, 0)
  } catch {
    // Only the GNU C library has on_exit; elsewhere the code that is reported may be another.
  }
}
