import { randomBytes } from 'node:crypto'
import { text as readText } from 'node:stream/consumers'

import { LIMITS } from '../../../core/limits.ts'
import { killGroup } from '../confined/spawn.ts'
import { openConfinedFolder, type ConfinedFolder } from '../confined/folder.ts'
import { openControl, type ControlClient } from '../control/client.ts'
import type { MiniflareWorker } from '../miniflare.ts'
import { openRunFolder, type RunFolder } from '../run-folder.ts'
import type { RuntimeSocket } from '../runtime-socket.ts'
import type { Runtime, RuntimeOptions } from '../runtime.ts'
import { noComplaints, RuntimeStartError, startFailure } from '../start-error.ts'
import { probeRuntime } from '../watchdog.ts'
import { socketPaths, writeBareConfig, type SocketPaths } from './bare-config.ts'
import { listening, startBareProcess, type BareProcess, type Origins } from './bare-process.ts'
import { loadRequest } from './load-request.ts'

export interface BareRuntimeOptions extends Pick<
  RuntimeOptions,
  'state' | 'confinement' | 'loadMs' | 'onLine'
> {
  readonly worker: MiniflareWorker
}

/** A runtime whose program can be exchanged while it runs. */
export interface BareRuntime extends Runtime {
  /**
   * Loads another program beside the one that runs, and resolves with the socket that leads to it from now on. Requests under way stay
   * where they are.
   * @throws RuntimeStartError with workerd's own words when it cannot be loaded; nothing has changed then.
   */
  load(worker: MiniflareWorker): Promise<RuntimeSocket>
}

/**
 * workerd for one worker without anything bound to it but values, started without miniflare: in a tenth of the time, and without what
 * that needs of our own process. Resolves when it answers.
 * @throws RuntimeStartError with workerd's own words when the program cannot be loaded.
 */
export async function startBareRuntime(options: BareRuntimeOptions): Promise<BareRuntime> {
  const { confinement, onLine, loadMs: limitMs = LIMITS.initMs } = options
  const kept =
    confinement === undefined ? undefined : { confinement, folder: openConfinedFolder(confinement) }
  const folder = kept?.folder ?? (await openRunFolder(options.state))
  const complaints = noComplaints()
  let launched: BareProcess | undefined
  const end = async (): Promise<void> => {
    if (launched === undefined) return
    killGroup(launched.child)
    await launched.ended
  }
  try {
    const setting = await prepare(options, folder, kept?.folder)
    launched = startBareProcess(setting.config, { kept, complaints, onLine })
    const sockets = setting.socketsAt(await listening(launched, limitMs))
    void folder.belongsTo(launched.child.pid)
    return runtimeOf(launched, { options, setting, sockets, folder, end })
  } catch (cause) {
    await end()
    await folder.remove()
    throw await startFailure(complaints, cause)
  }
}

interface Running {
  readonly options: BareRuntimeOptions
  readonly setting: Setting
  readonly sockets: Readonly<Record<keyof Origins, RuntimeSocket>>
  readonly folder: RunFolder
  readonly end: () => Promise<void>
}

function runtimeOf(
  { child, ended, ranOut }: BareProcess,
  { options, setting, sockets, folder, end }: Running,
): BareRuntime {
  const { confinement, onLine, loadMs: limitMs = LIMITS.initMs } = options
  const control = openControl(sockets.control, setting.token)
  const probe = (): Promise<boolean> => probeRuntime(sockets.direct)
  const endLoop = async (): Promise<void> => {
    onLine({ kind: 'runtime', level: 'fatal', text: 'a program looped while it was loaded' })
    await end()
  }
  return {
    // That of a confined one is its keeper's.
    pid: confinement === undefined ? child.pid : undefined,
    inspector: undefined,
    control,
    socketOf: () => sockets.direct,
    ended: ended.then(() => void folder.remove()),
    ranOut,
    kill: () => killGroup(child),
    async load(worker) {
      // What runs may loop: a process of its own does not wait for it.
      if (!(await probe())) throw new Error('the runtime does not react')
      await withinLimits(load(control, worker), { limitMs, probe, end: endLoop })
      return sockets.loaded
    },
    async dispose() {
      control.close()
      await end()
      await folder.remove()
    },
  }
}

interface Setting {
  /** The file with workerd's configuration. */
  readonly config: string
  readonly token: string
  /** The sockets of a runtime that listens at these places. */
  socketsAt(origins: Origins): Readonly<Record<keyof Origins, RuntimeSocket>>
}

async function prepare(
  { worker, confinement }: BareRuntimeOptions,
  { path }: RunFolder,
  kept: ConfinedFolder | undefined,
): Promise<Setting> {
  const token = randomBytes(16).toString('hex')
  const paths = kept === undefined ? socketPaths(path) : keptPaths(kept)
  const hasPorts = confinement?.sharesLoopback !== false
  return {
    config: await writeBareConfig({ worker, folder: path, token, paths, hasPorts }),
    token,
    socketsAt(origins) {
      const at = (name: keyof Origins): string | undefined => kept?.hold(name) ?? paths?.[name]
      return {
        direct: { origin: origins.direct, path: at('direct') },
        loaded: { origin: origins.loaded, path: at('loaded') },
        control: { origin: origins.control, path: hasPorts ? undefined : at('control') },
      }
    },
  }
}

function keptPaths(folder: ConfinedFolder): SocketPaths {
  return {
    direct: folder.socketPath('direct'),
    loaded: folder.socketPath('loaded'),
    control: folder.socketPath('control'),
  }
}

/** What the loader says of a program that it cannot start, before workerd's own words. */
const START_FAILURE = /^Failed to start Worker:\n/

async function load(control: ControlClient, worker: MiniflareWorker): Promise<void> {
  const body = Buffer.from(JSON.stringify(loadRequest(worker)))
  const answer = await control.ask({ method: 'POST', target: '/load', body })
  const said = await readText(answer.body)
  if (answer.status === 204) return
  const { message } = JSON.parse(said) as { message: string }
  const prefix = `service core:user:${worker.name}: `
  throw new RuntimeStartError(`${prefix}${message.replace(START_FAILURE, '')}`)
}

interface LoadWatch {
  readonly limitMs: number
  /** Does the runtime still react? */
  readonly probe: () => Promise<boolean>
  /** Ends the runtime; resolves when it is gone. */
  readonly end: () => Promise<void>
}

/** Nothing else in the process is served while a program computes: one that still does after this time, and cannot be probed, loops. */
const LOOP_MS = 3_000

/** Waits for a program to be loaded, but not for ever. @throws RuntimeStartError at a limit. */
async function withinLimits(loading: Promise<void>, { limitMs, probe, end }: LoadWatch): Promise<void> {
  const timers: NodeJS.Timeout[] = []
  let isOver = false
  let isStuck = false
  const late = new Promise<never>((_, reject) => {
    const giveUp = (ms: number): void =>
      reject(new RuntimeStartError(`the program was not loaded within ${ms} ms`))
    const look = async (): Promise<void> => {
      if ((await probe()) || isOver) return
      isStuck = true
      await end()
      giveUp(LOOP_MS)
    }
    timers.push(
      setTimeout(() => void look(), LOOP_MS),
      setTimeout(() => giveUp(limitMs), limitMs),
    )
  })
  // Of a process that is ended, the broken connection tells first.
  const told = loading.catch((error: unknown) => (isStuck ? late : Promise.reject(error)))
  try {
    await Promise.race([told, late])
  } finally {
    isOver = true
    for (const timer of timers) clearTimeout(timer)
  }
}
