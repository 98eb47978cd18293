import { mkdir } from 'node:fs/promises'

import { keepDescriptors } from './descriptors.ts'
import { limitNotes, openLimiter } from './limits/open-limiter.ts'
import { hardFileLimit, processLimits } from './limits/rlimit.ts'
import type { Machine } from './machine.ts'
import { openEgress, type EgressProbe } from './network/open-egress.ts'
import { openPlace, removeLeftOvers } from './place.ts'
import { probeBwrap } from './probe.ts'
import type { SandboxOptions } from './sandbox.ts'
import { callTable } from './seccomp/call-names.ts'
import { Staging } from './staging.ts'
import { writeSystemFiles } from './system-files.ts'
import { findTools } from './tools.ts'

const FIRST_UID = 1_900_000_000

/** Where no function runs. */
const NO_NETWORK: EgressProbe = { egress: undefined, fault: undefined, notes: [] }

export interface OpenMachine extends Machine, AsyncDisposable {}

/** Tries out what this machine has. */
export async function openMachine(options: SandboxOptions): Promise<OpenMachine> {
  const { directory, firstUid = FIRST_UID, limits: asked, hidden = [] } = options
  const tools = await findTools()
  await mkdir(directory, { recursive: true })
  await removeLeftOvers(directory, tools.umount)
  const place = await openPlace(directory)
  const systemFiles = await writeSystemFiles(place.directory)
  const staging = new Staging(place.id)
  const isRoot = process.getuid?.() === 0
  const calls = callTable(process.arch)
  if (process.platform === 'linux') await keepDescriptors()
  const uid = isRoot ? firstUid : undefined
  const [isolation, limiter] = await Promise.all([
    probeBwrap(tools, uid),
    openLimiter(place.id, tools, asked),
  ])
  const network = isolation.name === undefined ? NO_NETWORK : await openEgress(tools, uid)
  const hardFiles = hardFileLimit()
  return {
    tools,
    place,
    systemFiles,
    staging,
    limiter,
    calls,
    hidden: [...hidden, place.directory],
    egress: network.egress,
    egressFault: network.fault,
    firstUid: uid,
    rlimits: (limits) => processLimits(limits, hardFiles),
    capabilities: {
      isolation: isolation.name,
      systemCalls: calls !== undefined,
      limits: limiter.kind,
      egress: network.egress?.name,
      ownUsers: isRoot,
      notes: [...isolation.notes, ...limitNotes(limiter.kind), ...network.notes, ...userNotes(isRoot)],
    },
    async [Symbol.asyncDispose]() {
      network.egress?.dispose()
      limiter.dispose()
      staging.dispose()
      await Promise.resolve()
    },
  }
}

function userNotes(isRoot: boolean): readonly string[] {
  return isRoot
    ? []
    : ["all functions run as the daemon's own user: started as root, it gives each a user of its own"]
}
