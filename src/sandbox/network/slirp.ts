import { spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

import { SYSTEM_PATH } from '../tools.ts'

/** The device inside. */
const DEVICE = 'tap0'
const FDS = { ready: 3, exit: 4 } as const
const READY_WAIT_MS = 10_000
const SAID_MAX = 4096

/** A user-mode network stack: its packets are connections of this process, so nothing of the machine has to be set up for it. */
export interface Slirp {
  /** It ends by itself too when we do: its exit descriptor closes. */
  end(): void
}

/**
 * Gives a network namespace a way to the outside, and resolves when it is there. The machine's own loopback interface is no part of it.
 * @throws Error with what it said.
 */
export function startSlirp(command: string, pid: number): Promise<Slirp> {
  const process_ = spawn(
    command,
    [
      '--configure',
      '--mtu=65520',
      '--disable-host-loopback',
      '--enable-sandbox',
      '--enable-seccomp',
      `--ready-fd=${FDS.ready}`,
      `--exit-fd=${FDS.exit}`,
      // By its number alone it would enter the innermost user namespace of the process, which has no say in the network's.
      '--netns-type=path',
      `/proc/${pid}/ns/net`,
      DEVICE,
    ],
    {
      cwd: '/',
      env: { PATH: SYSTEM_PATH },
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    },
  )
  const [ready, exit] = [process_.stdio[FDS.ready] as Readable, process_.stdio[FDS.exit] as Writable]
  let said = ''
  process_.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-SAID_MAX)
  })
  for (const stream of [ready, exit]) stream.on('error', () => undefined)
  const slirp = { end: () => void process_.kill('SIGKILL') }
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      slirp.end()
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
