import { closeSync, openSync } from 'node:fs'

/** Where the network of a sandbox is, and who may set it up. */
export interface NetworkPlace {
  /** A process in it. */
  readonly pid: number
  /**
   * Descriptor of the user namespace that the network belongs to. Undefined where we are root. Else its root is who may, and that is us,
   * for we made it.
   */
  readonly user: number | undefined
  /** Closes the descriptor. */
  close(): void
}

export type FindPlace = (pid: number) => NetworkPlace

/** Of linux/nsfs.h. */
const NS_GET_USERNS = 0xb701

export const findPlaceAsRoot: FindPlace = (pid) => ({ pid, user: undefined, close: () => undefined })

/**
 * bwrap makes the network in one user namespace, and leaves programs in another one below that, which has no say in the network. No
 * process stays in the first one: only the kernel can name it.
 * @throws Error when koffi cannot be loaded.
 */
export async function loadFindPlace(): Promise<FindPlace> {
  const { default: koffi } = await import('koffi')
  const ioctl = koffi.load(null).func('int ioctl(int fd, unsigned long request, ...)') as (
    fd: number,
    request: number,
  ) => number
  return (pid) => {
    const network = openSync(`/proc/${pid}/ns/net`, 'r')
    try {
      const user = ioctl(network, NS_GET_USERNS)
      if (user < 0) throw new Error(`whose its network is cannot be found out (error ${koffi.errno()})`)
      return { pid, user, close: () => closeSync(user) }
    } finally {
      closeSync(network)
    }
  }
}

/** Options of nsenter for becoming root of that user namespace, which it finds as its own descriptor `fd`. */
export function ownerOptions({ user }: NetworkPlace, fd: number): string[] {
  return user === undefined ? [] : ['--preserve-credentials', `--user=/proc/self/fd/${fd}`]
}

/** What follows the other descriptors of a process that is told `ownerOptions`. */
export function ownerStdio({ user }: NetworkPlace): readonly number[] {
  return user === undefined ? [] : [user]
}
