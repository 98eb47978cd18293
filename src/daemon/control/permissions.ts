import { FlexiError } from '../../core/errors.ts'
import type { Caller, Group, VersionConfig } from '../model.ts'

const HOST_NET = 'permission:host-net'

/** The group of what somebody uploads. */
export function ownGroup({ user }: Caller): Group {
  return `singular:${user}`
}

/** @throws FlexiError FLEXI_FORBIDDEN for the machine's own network without the permission for it. */
export function demandNetwork(caller: Caller, { network }: Pick<VersionConfig, 'network'>): void {
  if (network === 'host') demandHostNet(caller, 'to run on the network of the machine')
}

/** @throws FlexiError FLEXI_FORBIDDEN. */
export function demandHostNet(caller: Caller, why: string): void {
  if (caller.groups.has(HOST_NET)) return
  throw new FlexiError('FLEXI_FORBIDDEN', `${HOST_NET} is needed ${why}`, {
    hint: `Have an administrator give you ${HOST_NET}.`,
  })
}
