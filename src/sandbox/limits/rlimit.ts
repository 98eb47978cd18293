import { existsSync, readFileSync } from 'node:fs'

import type { SandboxLimits } from '../sandbox.ts'
import { residentBytes } from './processes.ts'
import type { LaunchLimits, Limiter } from './limiter.ts'

const MIB = 1024 * 1024
const WATCH_INTERVAL_MS = 250
/** Of Linux. */
const LIMITS_FILE = '/proc/self/limits'

/** Limits that every process has of itself, as arguments of prlimit: no core files, so many open files. */
export function processLimits(limits: SandboxLimits, hardFiles: number): readonly string[] {
  const files = Math.min(limits.files, hardFiles)
  return [`--nofile=${files}:${files}`, '--core=0:0', '--']
}

/** The most open files that we may allow, as far as the system tells. `Max open files 1024 524288 files` */
export function hardFileLimit(): number {
  const limits = existsSync(LIMITS_FILE) ? readFileSync(LIMITS_FILE, 'utf8') : ''
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1]
  return hard === undefined || hard === 'unlimited' ? Infinity : Number(hard)
}

/**
 * Without control groups: the number of processes is limited inside, where the kernel counts those of the sandbox alone, and their memory
 * is watched. Processors are not limited.
 */
export function openRlimits(prlimit: string): Limiter {
  return {
    kind: 'rlimit',
    limit: (_name, limits) => watchMemory(limits.memoryMb * MIB),
    prefix: ({ processes }) => [prlimit, `--nproc=${processes}:${processes}`, '--'],
    dispose: () => undefined,
  }
}

/** A process that outgrows the limit is ended within a moment. */
function watchMemory(bytesMax: number): LaunchLimits {
  let timer: NodeJS.Timeout | undefined
  let isOver = false
  return {
    add(pid) {
      timer ??= setInterval(() => {
        if (residentBytes(pid) <= bytesMax) return
        isOver = true
        clearInterval(timer)
        end(pid)
      }, WATCH_INTERVAL_MS).unref()
    },
    reached: () => (isOver ? 'memory' : undefined),
    remove() {
      clearInterval(timer)
      return Promise.resolve()
    },
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // ESRCH: it is gone.
  }
}

/** Where nothing at all is limited. */
export const UNLIMITED: Limiter = {
  kind: 'none',
  limit: () => ({ add: () => undefined, reached: () => undefined, remove: () => Promise.resolve() }),
  prefix: () => [],
  dispose: () => undefined,
}
