import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface Crashed {
  readonly pid: number
  /** Folder it ran in. */
  readonly directory: string
  /** The program that loaded the library. */
  readonly program: string
}

/** What the system does with a crashed process; undefined where it does not say. */
export interface CoreSettings {
  /** `ulimit -c` is not 0: children have inherited it. */
  readonly allowed: boolean
  /** `/proc/sys/kernel/core_pattern` */
  readonly pattern: string
  /** `/proc/sys/kernel/core_uses_pid` */
  readonly usesPid: boolean
}

/** Linux tells; elsewhere there is nothing to read. */
export async function readCoreSettings(): Promise<CoreSettings | undefined> {
  const files = ['/proc/self/limits', '/proc/sys/kernel/core_pattern', '/proc/sys/kernel/core_uses_pid']
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => undefined)))
  const [limits, pattern, usesPid] = texts
  if (limits === undefined || pattern === undefined) return undefined
  const allowed = !/^Max core file size\s+0\s/m.test(limits)
  return { allowed, pattern: pattern.trim(), usesPid: usesPid?.trim() === '1' }
}

/** The next step towards the line that crashed, as one action. Source: core(5). */
export function coreHint(settings: CoreSettings | undefined, crashed: Crashed): string {
  if (settings === undefined) return 'Build it with -g and attach a debugger to the process that runs it.'
  const { allowed, pattern } = settings
  if (!allowed)
    return 'Run "ulimit -c unlimited" before flexi and crash it again: there is a core then, and this tells how to open it.'
  if (!pattern.startsWith('|'))
    return `Look at its core: gdb ${crashed.program} ${corePath(settings, crashed)} -ex bt`
  if (pattern.includes('systemd-coredump')) return `Look at its core: coredumpctl gdb ${crashed.pid}`
  return `Look for its core where ${pattern.slice(1).split(' ')[0]} puts it, and open it with gdb.`
}

/** What is not known of a name is a wildcard for the shell. */
function corePath({ pattern, usesPid }: CoreSettings, { pid, directory }: Crashed): string {
  const name = pattern.replaceAll(/%(.)/g, (_all, letter: string) => {
    if (letter === '%') return '%'
    return letter === 'p' || letter === 'P' ? String(pid) : '*'
  })
  const dotted = usesPid && !/%[pP]/.test(pattern) ? `${name}.${pid}` : name
  return name.startsWith('/') ? dotted : join(directory, dotted)
}
