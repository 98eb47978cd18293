import { join } from 'node:path'

import type { Confinement } from '../../core/confinement.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { openConfinedFolder, type ConfinedFolder } from './confined/folder.ts'
import { openKeptLaunch, type KeptLaunch } from './confined/kept-launch.ts'
import { CONTROL_ENTRYPOINT, CONTROL_NAME } from './control/control.ts'
import { openRunFolder, type RunFolder } from './run-folder.ts'
import { noComplaints, type Complaints } from './start-error.ts'
import { prepareWorkerd } from './workerd.ts'

/** Where a runtime of miniflare's runs: free, or kept apart. */
export interface RuntimePlace extends AsyncDisposable {
  readonly folder: RunFolder
  readonly kept: KeptLaunch | undefined
  /** The socket of a served worker, where that is a path; once it listens. */
  pathOf(worker: string): string | undefined
  /** Where what is cached goes. */
  readonly cache: string
  readonly complaints: Complaints
}

export interface PlaceOptions {
  readonly confinement?: Confinement | undefined
  readonly state: AbsolutePath
  readonly workers: readonly { readonly name: string }[]
  readonly served: readonly string[]
}

export async function openPlace({ confinement, ...options }: PlaceOptions): Promise<RuntimePlace> {
  return confinement === undefined ? await openFree(options) : await openKept(options, confinement)
}

async function openFree({ state, workers: [first] }: PlaceOptions): Promise<RuntimePlace> {
  const [folder] = await Promise.all([openRunFolder(state), prepareWorkerd(state)])
  return {
    folder,
    kept: undefined,
    pathOf: () => undefined,
    // It is a database as well, and no binding tells who may share it: a process has its own.
    cache: join(state, 'cache', encodeURIComponent(first?.name ?? '')),
    complaints: noComplaints(),
    [Symbol.asyncDispose]: () => folder.remove(),
  }
}

async function openKept(options: PlaceOptions, confinement: Confinement): Promise<RuntimePlace> {
  const folder = openConfinedFolder(confinement)
  const complaints = noComplaints()
  const cache = join(folder.path, 'cache')
  const sockets = socketsIn(folder, options)
  const kept = await openKeptLaunch({
    confinement,
    folder,
    state: options.state,
    cache,
    sockets,
    complaints,
  })
  return {
    folder,
    kept,
    pathOf(worker) {
      const index = options.workers.findIndex(({ name }) => name === worker)
      return folder.hold(worker === CONTROL_NAME ? CONTROL_SOCKET : String(index))
    },
    // Two versions may run at a time, and a cache may be lost.
    cache,
    complaints,
    async [Symbol.asyncDispose]() {
      await kept[Symbol.asyncDispose]()
      await folder.remove()
    },
  }
}

const ENTRY_SOCKET = 'entry'
const CONTROL_SOCKET = 'control'

/** miniflare calls a worker's own socket `direct:INDEX:ENTRYPOINT`; flexi's own worker comes last. */
function socketsIn(folder: ConfinedFolder, { workers, served }: PlaceOptions): ReadonlyMap<string, string> {
  return new Map([
    ['entry', folder.socketPath(ENTRY_SOCKET)],
    ...workers.flatMap(({ name }, index) =>
      served.includes(name) ? [[`direct:${index}:default`, folder.socketPath(String(index))] as const] : [],
    ),
    [`direct:${workers.length}:${CONTROL_ENTRYPOINT}`, folder.socketPath(CONTROL_SOCKET)],
  ])
}
