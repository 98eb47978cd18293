import { accessSync, constants } from 'node:fs'

import { errorMessage } from '../../core/errors.ts'
import { runTool, type Tools } from '../tools.ts'
import type { Egress } from './egress.ts'
import { tryEgress } from './egress-trial.ts'
import { findPlaceAsRoot, loadFindPlace } from './network-place.ts'
import { slirpEgress, type SlirpEgressParts } from './slirp-egress.ts'

export interface EgressProbe {
  readonly egress: Egress | undefined
  /** Why there is none, and what to do. */
  readonly fault: string | undefined
  readonly notes: readonly string[]
}

const TUN = '/dev/net/tun'

/** `uid` is the first of functions; undefined where the daemon is not root, and they run as it does. */
export async function openEgress(tools: Tools, uid: number | undefined): Promise<EgressProbe> {
  const { slirp4netns, nsenter, unshare, ip, bwrap = 'bwrap' } = tools
  if (slirp4netns === undefined) return missing(toInstall('slirp4netns', 'slirp4netns'))
  if (ip === undefined) return missing(toInstall('ip', 'iproute2'))
  if (nsenter === undefined || unshare === undefined) return missing(toInstall('nsenter', 'util-linux'))
  const fault = tunFault()
  if (fault !== undefined) return missing(fault)
  try {
    const egress = await openSlirp({ slirp4netns, nsenter, unshare, ip }, uid === undefined)
    const failed = await tryEgress(egress, bwrap, uid)
    if (failed === undefined) return { egress, fault: undefined, notes: [] }
    egress.dispose()
    return missing(`slirp4netns cannot join a sandbox here (${failed})`)
  } catch (error) {
    return missing(errorMessage(error))
  }
}

async function openSlirp(programs: SlirpEgressParts['programs'], isOrdinary: boolean): Promise<Egress> {
  const said = await runTool(programs.slirp4netns, ['--version']).catch(() => '')
  const name = `slirp4netns ${/version (\S+)/.exec(said)?.[1] ?? '?'}`
  return slirpEgress({ name, programs, findPlace: isOrdinary ? await loadFindPlace() : findPlaceAsRoot })
}

function tunFault(): string | undefined {
  try {
    accessSync(TUN, constants.R_OK | constants.W_OK)
    return undefined
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EACCES'
      ? `the daemon's user may not open ${TUN}: "chmod 666 ${TUN}", as most systems have it`
      : `there is no ${TUN}: give it to the container, or load "tun"`
  }
}

function toInstall(program: string, name: string): string {
  return `${program} is not installed: install ${name} ("apt install ${name}"), and restart the daemon`
}

function missing(fault: string): EgressProbe {
  return { egress: undefined, fault, notes: [`the network mode "egress" cannot be had: ${fault}`] }
}
