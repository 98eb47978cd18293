import { readdirSync, readFileSync } from 'node:fs'

/** Of fcntl.h. */
const O_CLOEXEC = 0o2_000_000
const F_SETFD = 2
const FD_CLOEXEC = 1

/** The first that is not a standard stream. */
const FIRST = 3

/**
 * Keeps functions from inheriting what the daemon inherited from whoever started it. Node closes the lowest of them, up to the first gap;
 * a folder open in a terminal's shell would lead out of every sandbox.
 * @throws Error when there are some and they cannot be kept back.
 */
export async function keepDescriptors(): Promise<void> {
  const inherited = inheritable()
  if (inherited.length === 0) return
  const { default: koffi } = await import('koffi')
  const fcntl = koffi.load(null).func('int fcntl(int fd, int command, ...)') as (
    fd: number,
    command: number,
    ...rest: readonly unknown[]
  ) => number
  for (const fd of inherited) fcntl(fd, F_SETFD, 'int', FD_CLOEXEC)
  const left = inheritable()
  if (left.length > 0) throw new Error(`functions would inherit the descriptors ${left.join(', ')}`)
}

function inheritable(): number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => fd >= FIRST && isInheritable(fd))
}

/** `flags:	0100002` */
function isInheritable(fd: number): boolean {
  try {
    const flags = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0'
    return (Number.parseInt(flags, 8) & O_CLOEXEC) === 0
  } catch {
    // It was the folder's own, and is closed.
    return false
  }
}
