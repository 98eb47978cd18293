import { chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { Launch, ProcessSpec } from '../core/confinement.ts'
import type { AbsolutePath } from '../core/place.ts'
import { openPlace, removeLeftOvers } from './place.ts'
import type { OpenConfinement, Sandbox, SandboxOptions } from './sandbox.ts'

/** For operators who trust what is deployed: functions run as the daemon does. */
export async function openUnprotected(options: SandboxOptions): Promise<Sandbox> {
  await removeLeftOvers(options.directory, undefined)
  const place = await openPlace(options.directory)
  let opened = 0
  return {
    capabilities: {
      isolation: undefined,
      systemCalls: false,
      limits: 'none',
      egress: undefined,
      ownUsers: false,
      notes: [
        'functions run unprotected, with all that the daemon may do: it was started with --sandbox none',
      ],
    },
    check: () => [],
    async open(policy) {
      opened += 1
      const runDirectory = join(place.directory, opened.toString(36)) as AbsolutePath
      await mkdir(runDirectory)
      await chmod(runDirectory, 0o700)
      if (policy.state !== undefined) await mkdir(policy.state, { recursive: true })
      return confinementIn(runDirectory)
    },
    [Symbol.asyncDispose]: () => rm(place.directory, { recursive: true, force: true }),
  }
}

function confinementIn(runDirectory: AbsolutePath): OpenConfinement {
  return {
    runDirectory,
    sharesLoopback: true,
    launch: unchanged,
    [Symbol.asyncDispose]: () => rm(runDirectory, { recursive: true, force: true }),
  }
}

function unchanged({ command, args, cwd, environment }: ProcessSpec): Launch {
  return {
    command,
    args,
    cwd,
    environment,
    inputs: new Map(),
    outputs: [],
    gates: [],
    started: () => Promise.resolve(),
  }
}
