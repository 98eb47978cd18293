import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

import { SYSTEM_PATH } from '../tools.ts'
import { ownerOptions, ownerStdio, type NetworkPlace } from './network-place.ts'

/** Of the process that changes them: the first after the standard streams. */
const USER_FD = 3

export interface RoutePrograms {
  readonly nsenter: string
  readonly ip: string
}

/**
 * Whatever is sent there comes back as unreachable. A function has no right to change its routes.
 * @throws Error with what `ip` said.
 */
export async function closeRoutes(
  { nsenter, ip }: RoutePrograms,
  place: NetworkPlace,
  targets: readonly string[],
): Promise<void> {
  const args = [...ownerOptions(place, USER_FD), `--net=/proc/${place.pid}/ns/net`, '--', ip, '-batch', '-']
  const process_ = spawn(nsenter, args, {
    cwd: '/',
    env: { PATH: SYSTEM_PATH },
    stdio: ['pipe', 'ignore', 'pipe', ...ownerStdio(place)],
    timeout: 10_000,
  })
  process_.stdin?.on('error', () => undefined)
  process_.stdin?.end(targets.map((target) => `route replace unreachable ${target}\n`).join(''))
  const said = process_.stderr === null ? '' : text(process_.stderr)
  const [words, [code]] = await Promise.all([said, once(process_, 'close')])
  if (code !== 0) throw new Error(`routes of the sandbox could not be closed: ${words.trim()}`)
}
