import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { text } from 'node:stream/consumers'

import { runTool, SYSTEM_PATH, type Tools } from '../tools.ts'
import type { Egress, JoinedNetwork } from './egress.ts'
import { startSlirp } from './slirp.ts'

export interface EgressProbe {
  /** Undefined where it cannot be had: `notes` says why. */
  readonly egress: Egress | undefined
  readonly notes: readonly string[]
}

/** Where clouds tell a machine its credentials, and what is on the same cable only. */
const LINK_LOCAL = '169.254.0.0/16'

/** A machine moves to another network now and then. */
const ADDRESSES_INTERVAL_MS = 10_000

interface Programs {
  readonly slirp4netns: string
  readonly nsenter: string
  readonly ip: string
}

export async function openEgress({ slirp4netns, nsenter, ip }: Tools, isRoot: boolean): Promise<EgressProbe> {
  if (slirp4netns === undefined || nsenter === undefined || ip === undefined) {
    return missing('slirp4netns and ip are not both installed: install slirp4netns and iproute2')
  }
  // bwrap leaves programs in a user namespace that has no say in their network: only root may enter that all the same.
  if (!isRoot) return missing('start the daemon as root')
  if (!existsSync('/dev/net/tun'))
    return missing('there is no /dev/net/tun: give it to the container, or load "tun"')
  const said = await runTool(slirp4netns, ['--version']).catch(() => '')
  const version = /version (\S+)/.exec(said)?.[1] ?? '?'
  return { egress: watched(`slirp4netns ${version}`, { slirp4netns, nsenter, ip }), notes: [] }
}

function missing(reason: string): EgressProbe {
  return { egress: undefined, notes: [`the network mode "egress" cannot be had: ${reason}`] }
}

/** Joins, and closes the way to addresses that the machine gets later. */
function watched(name: string, programs: Programs): Egress {
  const joined = new Set<{ readonly pid: number; readonly closed: Set<string> }>()
  const timer = setInterval(() => {
    const addresses = ownAddresses()
    for (const { pid, closed } of joined) {
      const fresh = addresses.filter((address) => !closed.has(address))
      for (const address of fresh) closed.add(address)
      if (fresh.length > 0) closeRoutes(programs, pid, fresh).catch(() => undefined)
    }
  }, ADDRESSES_INTERVAL_MS).unref()
  return {
    name,
    async join(pid): Promise<JoinedNetwork> {
      const slirp = await startSlirp(programs.slirp4netns, pid)
      const closed = ownAddresses()
      try {
        await closeRoutes(programs, pid, [LINK_LOCAL, ...closed])
      } catch (error) {
        slirp.end()
        throw error
      }
      const member = { pid, closed: new Set(closed) }
      joined.add(member)
      return {
        leave() {
          joined.delete(member)
          slirp.end()
        },
      }
    },
    dispose: () => clearInterval(timer),
  }
}

/** Of this machine, on every network: the daemon, and all else that listens on it, would answer there. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).flatMap(({ family, address, internal }) =>
      family === 'IPv4' && !internal ? [address] : [],
    ),
  )
}

/** Whatever is sent there comes back as unreachable. A function has no right to change its routes. */
async function closeRoutes(programs: Programs, pid: number, targets: readonly string[]): Promise<void> {
  const { nsenter, ip } = programs
  const process_ = spawn(nsenter, [`--net=/proc/${pid}/ns/net`, '--', ip, '-batch', '-'], {
    env: { PATH: SYSTEM_PATH },
    stdio: ['pipe', 'ignore', 'pipe'],
    timeout: 10_000,
  })
  process_.stdin.on('error', () => undefined)
  process_.stdin.end(targets.map((target) => `route replace unreachable ${target}\n`).join(''))
  const [said, [code]] = await Promise.all([text(process_.stderr), once(process_, 'close')])
  if (code !== 0) throw new Error(`routes of the sandbox could not be closed: ${said.trim()}`)
}
