import { AsyncLocalStorage } from 'node:async_hooks'
import childProcess, { type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'

import type { Confinement } from '../../../core/confinement.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { workerdProcess } from '../workerd.ts'
import { share, type ConfinedFolder } from './folder.ts'
import { openLoopback } from './loopback.ts'
import type { Complaints } from '../start-error.ts'
import { killGroup, spawnConfined, type ConfinedSpawn } from './spawn.ts'

export interface KeptOptions {
  readonly confinement: Confinement
  readonly folder: ConfinedFolder
  readonly state: AbsolutePath
  /** Where what is cached goes; there when something is. */
  readonly cache: string
  /** By the names that miniflare gives to the sockets of its configuration: the paths that they are to have. */
  readonly sockets: ReadonlyMap<string, string>
  readonly complaints: Complaints
}

/** The place of one runtime whose workerd miniflare starts, in a confinement. */
export interface KeptLaunch extends AsyncDisposable {
  /** Whatever miniflare starts from here on, at any later time, is started in the confinement. */
  run<T>(make: () => T): T
  /** Resolves when workerd has ended, if it was started. */
  exited(): Promise<void>
  /** Whether it held too much memory, once it has ended. */
  ranOut(): boolean
  /** Ends workerd, if it runs. */
  kill(): void
}

/** Who starts a process at this moment. */
const launcher = new AsyncLocalStorage<Starter>()

type Starter = (args: readonly string[]) => ChildProcess

export async function openKeptLaunch(options: KeptOptions): Promise<KeptLaunch> {
  catchSpawns()
  const { confinement, folder, state, cache } = options
  const path = join(folder.path, 'loopback.sock')
  const loopback = await openLoopback(path)
  let spawned: ConfinedSpawn | undefined
  let gone = Promise.resolve()
  const start: Starter = (args) => {
    loopback.leadTo(portOf(args))
    share(folder.path, confinement)
    const named = withPaths(args, { loopback: path, sockets: options.sockets })
    const writable = [...(existsSync(cache) ? [cache] : []), ...storesIn(state)]
    const launch = confinement.launch(workerdProcess(named, { readable: [folder.path], writable }))
    spawned = spawnConfined(launch, 'pipe')
    const { child } = spawned
    options.complaints.admitted = spawned.started
    gone = once(child, 'exit').then(
      () => undefined,
      () => undefined,
    )
    return child
  }
  return {
    run: (make) => launcher.run(start, make),
    exited: () => gone,
    ranOut: () => spawned?.ranOut() === true,
    kill() {
      if (spawned !== undefined) killGroup(spawned.child)
    },
    [Symbol.asyncDispose]: () => loopback[Symbol.asyncDispose](),
  }
}

/** Kinds of stored data with a folder for each of a kind. */
const KINDS_WITH_FOLDERS = new Set(['queues'])

/**
 * The folders that workerd stores in, which miniflare has made by now. Those above them stay ours: whoever owned one could put a link where
 * we are to make the next folder.
 */
function storesIn(state: string): readonly string[] {
  return foldersIn(state).flatMap((kind) =>
    KINDS_WITH_FOLDERS.has(basename(kind)) ? foldersIn(kind) : [kind],
  )
}

function foldersIn(path: string): readonly string[] {
  if (!existsSync(path)) return []
  const folders = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return folders.map(({ name }) => join(path, name))
}

const EXTERNAL = '--external-addr=loopback='
const ENTRY = '--socket-addr=entry='

/** `--external-addr=loopback=127.0.0.1:35717` → 35717 */
function portOf(args: readonly string[]): number {
  const address = args.find((arg) => arg.startsWith(EXTERNAL))
  return Number(/:(\d+)$/.exec(address ?? '')?.[1])
}

/** Nobody outside would find a port of the confinement's own loopback, and nobody inside ours. */
function withPaths(
  args: readonly string[],
  { loopback, sockets }: { readonly loopback: string; readonly sockets: ReadonlyMap<string, string> },
): readonly string[] {
  const [command = 'serve', ...rest] = args.filter(
    (arg) => !arg.startsWith(EXTERNAL) && !arg.startsWith(ENTRY),
  )
  return [
    command,
    `${EXTERNAL}unix:${loopback}`,
    ...[...sockets].map(([name, path]) => `--socket-addr=${name}=unix:${path}`),
    ...rest,
  ]
}

let isCaught = false

/** miniflare starts workerd itself, without a word about how. Whoever else starts a process does not notice. */
function catchSpawns(): void {
  if (isCaught) return
  isCaught = true
  const { spawn } = childProcess
  const caught = (...given: Parameters<typeof spawn>): ChildProcess => {
    const start = launcher.getStore()
    const [, args] = given
    const isWorkerd = Array.isArray(args) && args[0] === 'serve' && args.includes('--binary')
    return start !== undefined && isWorkerd ? start(args) : spawn(...given)
  }
  childProcess.spawn = caught as typeof spawn
}
