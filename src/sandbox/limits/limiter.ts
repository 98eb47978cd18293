import type { SandboxCapabilities, SandboxLimits } from '../sandbox.ts'

/** bwrap itself, and the process that it leaves in the sandbox to bury the dead. */
export const OWN_PROCESSES = 2

/** What is tried at the start, all kinds of it. */
export const TRIAL_LIMITS: SandboxLimits = {
  memoryMb: 64,
  processors: 1,
  processes: 16,
  files: 64,
  temporaryMb: 1,
}

/** How this machine limits the processes of one launch together. */
export interface Limiter {
  readonly kind: SandboxCapabilities['limits']
  /** Makes the limits, before there is a process. `name` is a file's name and is not used twice. @throws Error when they cannot be set. */
  limit(name: string, limits: SandboxLimits): LaunchLimits
  /** What is put before the program inside the sandbox. */
  prefix(limits: SandboxLimits): readonly string[]
  /** Removes what it made, after the last launch. */
  dispose(): void
}

/** The limits of one launch. */
export interface LaunchLimits {
  /** Puts a process, and what it will start, under them. @throws Error */
  add(pid: number): void
  /** The limit that ended the processes, when it was one. */
  reached(): 'memory' | undefined
  /** Ends what is left of the processes, and removes the limits. */
  remove(): Promise<void>
}
