import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'

import { errorMessage } from '../../core/errors.ts'
import { heard, readStatus } from '../launches.ts'
import { SYSTEM_PATH } from '../tools.ts'
import type { Egress } from './egress.ts'

const FDS = { stdout: 1, stderr: 2, status: 3 } as const

const NAMESPACES = [
  '--unshare-all',
  '--unshare-user',
  '--disable-userns',
  '--die-with-parent',
  '--new-session',
]
const MOUNTS = ['--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev']
/** It says that it is there, and waits until it is ended. */
const PROGRAM = ['/bin/sh', '-c', 'echo; read -r _']

/**
 * Joins a sandbox like those of functions: what an administrator or a container has forbidden shows now. Undefined when it worked. `uid`
 * is of functions, where they have one of their own.
 */
export async function tryEgress(
  egress: Egress,
  bwrap: string,
  uid: number | undefined,
): Promise<string | undefined> {
  const args = [...NAMESPACES, ...MOUNTS, '--json-status-fd', String(FDS.status), '--', ...PROGRAM]
  const process_ = spawn(bwrap, args, {
    cwd: '/',
    env: { PATH: SYSTEM_PATH },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  })
  process_.on('error', () => undefined)
  const { pid } = process_
  if (pid === undefined) return 'bwrap cannot be started'
  const outputs = new Map(Object.values(FDS).map((fd) => [fd, process_.stdio[fd] as Readable]))
  const ended = once(process_, 'close')
  const said = text(process_.stdio[FDS.stderr] as Readable)
  try {
    const status = readStatus(process_.stdio[FDS.status] as Readable)
    await heard({ pid, outputs, gates: new Map() }, FDS.stdout)
    const network = await egress.join(await status.child)
    await network.leave()
    return undefined
  } catch (error) {
    process_.kill('SIGKILL')
    return (await said).trim().split('\n')[0] || errorMessage(error)
  } finally {
    process_.kill('SIGKILL')
    await ended
  }
}
