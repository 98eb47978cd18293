import { spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

import { SYSTEM_PATH } from '../tools.ts'
import { ownerOptions, ownerStdio, type NetworkPlace } from './network-place.ts'

/** The device inside. */
const DEVICE = 'tap0'
const FDS = { ready: 3, exit: 4, user: 5 } as const
const READY_WAIT_MS = 10_000
const SAID_MAX = 4096

/** A user-mode network stack: its packets are connections of this process, so nothing of the machine has to be set up for it. */
export interface Slirp {
  /** Resolves when it is gone. It ends by itself too when we do: its exit descriptor closes. */
  end(): Promise<void>
}

export interface SlirpPrograms {
  readonly slirp4netns: string
  readonly nsenter: string
  readonly unshare: string
}

/**
 * Gives a sandbox's network a way to the outside, and resolves when it is there. The machine's own loopback interface is no part of it.
 * @throws Error with what it said.
 */
export function startSlirp(programs: SlirpPrograms, place: NetworkPlace): Promise<Slirp> {
  const [command = programs.slirp4netns, ...args] = slirpWords(programs, place)
  const process_ = spawn(command, args, {
    cwd: '/',
    env: { PATH: SYSTEM_PATH },
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe', ...ownerStdio(place)],
  })
  const [ready, exit] = [process_.stdio[FDS.ready] as Readable, process_.stdio[FDS.exit] as Writable]
  let said = ''
  process_.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-SAID_MAX)
  })
  for (const stream of [ready, exit]) stream.on('error', () => undefined)
  const gone = new Promise<void>((resolve) => process_.once('exit', () => resolve()))
  const slirp: Slirp = {
    end() {
      process_.kill('SIGKILL')
      return gone
    },
  }
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      void slirp.end()
      reject(new Error(`slirp4netns: ${said.trim().replaceAll('\n', '; ') || reason}`))
    }
    const timer = setTimeout(() => fail('it was not ready in time'), READY_WAIT_MS)
    ready.once('data', () => {
      clearTimeout(timer)
      resolve(slirp)
    })
    process_.once('error', (error) => fail(error.message))
    process_.once('close', () => {
      clearTimeout(timer)
      fail('it ended')
    })
  })
}

function slirpWords({ nsenter, slirp4netns, unshare }: SlirpPrograms, place: NetworkPlace): string[] {
  const entering =
    place.user === undefined
      ? // It shuts itself in by unmounting all that it sees, and as root would do so outside as well.
        [unshare, '--mount', '--propagation', 'slave', '--']
      : // As the network's root from its beginning: to shut itself in, it wants to be some root.
        [nsenter, ...ownerOptions(place, FDS.user), '--']
  return [
    ...entering,
    slirp4netns,
    '--configure',
    '--mtu=65520',
    '--disable-host-loopback',
    '--enable-sandbox',
    '--enable-seccomp',
    `--ready-fd=${FDS.ready}`,
    `--exit-fd=${FDS.exit}`,
    // By its number alone it would enter the innermost user namespace of the process, which has no say in the network's.
    '--netns-type=path',
    `/proc/${place.pid}/ns/net`,
    DEVICE,
  ]
}
