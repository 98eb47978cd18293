import { realpathSync, statSync } from 'node:fs'
import { normalize, sep } from 'node:path'

import type { Machine } from './machine.ts'
import type { SandboxPolicy } from './sandbox.ts'
import { policyFaults } from './seccomp/filter.ts'

/** Paths that are the sandbox's own, or the kernel's. */
const RESERVED = ['/proc', '/sys', '/dev']
/** Where services of the machine listen. A read-only mount keeps nobody from speaking to them. */
const SOCKETS = '/run'

/** What keeps a policy from being enforced here: sentences without a full stop. */
export function policyFaultsHere(policy: SandboxPolicy, machine: Machine): readonly string[] {
  const { capabilities, calls, hidden, egressFault } = machine
  const faults = [...policyFaults(policy.systemCalls), ...readOnlyFaults(policy, hidden)]
  if (capabilities.isolation === undefined)
    faults.unshift(capabilities.notes[0] ?? 'functions cannot be kept apart here')
  if (calls === undefined) faults.push(`there is no table of the system calls of ${process.arch}`)
  if (policy.network === 'egress' && egressFault !== undefined) {
    faults.push(
      `the network mode "egress" cannot be had: ${egressFault}; or deploy with --network none, or host where that is permitted`,
    )
  }
  return faults
}

/** What is wrong with its entries now: what a path leads to may change. */
export function readOnlyFaults(policy: SandboxPolicy, hidden: readonly string[]): string[] {
  return Object.entries(policy.readOnly ?? {}).flatMap(([source, target]) => {
    const fault = sourceFault(source, hidden) ?? targetFault(target ?? source)
    return fault === undefined ? [] : [`read-only entry ${source}: ${fault}`]
  })
}

function sourceFault(source: string, hidden: readonly string[]): string | undefined {
  if (!source.startsWith('/')) return 'a path begins with "/"'
  // What the kernel answers there depends on who asks: it may lead bwrap elsewhere than it leads us.
  const asked = normalize(source)
  if (RESERVED.some((path) => isWithin(asked, path))) return `${asked} belongs to the kernel`
  const real = realPath(source)
  if (real === '/') return 'that is the whole machine'
  if (RESERVED.some((path) => isWithin(real, path))) return `${real} belongs to the kernel`
  if (isWithin(real, SOCKETS) || isSocket(real)) return 'services of the machine listen there'
  if (hidden.some((path) => isWithin(real, realPath(path)) || isWithin(realPath(path), real))) {
    return "the daemon's data is there"
  }
  return undefined
}

function isSocket(path: string): boolean {
  try {
    return statSync(path).isSocket()
  } catch {
    return false
  }
}

function targetFault(target: string): string | undefined {
  if (!target.startsWith('/') || target === '/' || target.split('/').includes('..'))
    return `"${target}" is no place`
  return RESERVED.some((path) => isWithin(target, path)) ? `${target} is the sandbox's own` : undefined
}

/** What is not there yet may become a link later: entries are judged again with each launch, and bound as they were judged. */
export function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder + sep)
}
