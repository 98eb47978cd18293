import type { AbsolutePath } from './place.ts'

/** Where programs are looked for by what runs in a confinement. */
export const PATH_INSIDE = '/usr/local/bin:/usr/bin:/bin'

/** A process that a function's emulator wants to run. */
export interface ProcessSpec {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string | undefined
  /** The whole environment. */
  readonly environment: Readonly<Record<string, string>>
  /** What it has to see besides the function's own files: programs of ours, run-time libraries, builds. Paths are the same inside. */
  readonly readable?: readonly string[] | undefined
  /** What it may change besides `Confinement.runDirectory`: stored data. Paths are the same inside. */
  readonly writable?: readonly string[] | undefined
}

/** How `spawn` is called for a process that is kept apart. */
export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** Undefined keeps ours: what confines sees to the program's own. */
  readonly cwd?: string | undefined
  /** Undefined keeps ours. */
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  /** What the launched program reads, by descriptor: 4 and above. Each is written whole, and closed. */
  readonly inputs: ReadonlyMap<number, Uint8Array>
  /** What it tells, by descriptor: 4 and above. Handed to `started`. */
  readonly outputs: readonly number[]
  /** What it waits for: descriptors, 4 and above, that stay open for writing until `started` uses them. */
  readonly gates: readonly number[]
  /**
   * To be called as soon as the process is there: puts it under its limits, joins its network and lets it run. Until then nothing of the
   * function has run. Rejects when a limit cannot be put on it: the process is to be ended then.
   */
  started(process: LaunchedProcess): Promise<void>
  /** The limit that ended it, when one did: to be asked after its end. */
  reached?(): ReachedLimit | undefined
}

/** What a function had too much of. */
export type ReachedLimit = 'memory' | 'disk'

export interface LaunchedProcess {
  readonly pid: number
  /** The descriptors of `outputs`, to read from. */
  readonly outputs: ReadonlyMap<number, NodeJS.ReadableStream>
  /** The descriptors of `gates`, to write to. */
  readonly gates: ReadonlyMap<number, NodeJS.WritableStream>
}

/** Keeps the processes of one function apart from the machine. Without one they run as flexi does. */
export interface Confinement {
  /**
   * A folder that exists on both sides under the same path, writable inside: for Unix sockets between flexi and the processes. Short
   * enough that a socket's path of 40 more characters fits into 107 bytes.
   */
  readonly runDirectory: AbsolutePath
  /** Whether processes see the loopback interface of the machine: false means that only Unix sockets lead in and out. */
  readonly sharesLoopback: boolean
  /** What to start in place of this process. Synchronous and cheap: everything that takes time was done when the confinement was opened. */
  launch(process: ProcessSpec): Launch
}
