import { join } from 'node:path'

import type { Confinement } from '../../core/confinement.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { openConfinedFolder } from './confined/folder.ts'
import { openKeptLaunch, type KeptLaunch } from './confined/kept-launch.ts'
import { CONTROL_ENTRYPOINT, CONTROL_NAME } from './control/control.ts'
import { openRunFolder, type RunFolder } from './run-folder.ts'
import { noComplaints, type Complaints } from './start-error.ts'
import { prepareWorkerd } from './workerd.ts'

/** Where a runtime of miniflare's runs: free, or kept apart. */
export interface RuntimePlace extends AsyncDisposable {
  readonly folder: RunFolder
  readonly kept: KeptLaunch | undefined
  /** By the worker: the socket it is reached at, where that is a path. */
  readonly paths: ReadonlyMap<string, string>
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
    paths: new Map(),
    // It is a database as well, and no binding tells who may share it: a process has its own.
    cache: join(state, 'cache', encodeURIComponent(first?.name ?? '')),
    complaints: noComplaints(),
    [Symbol.asyncDispose]: () => folder.remove(),
  }
}

async function openKept(options: PlaceOptions, confinement: Confinement): Promise<RuntimePlace> {
  const folder = openConfinedFolder(confinement)
  const complaints = noComplaints()
  const { paths, sockets } = socketsIn(folder.sockets, options)
  const kept = await openKeptLaunch({
    confinement,
    folder,
    state: options.state,
    sockets,
    complaints,
  })
  return {
    folder,
    kept,
    paths,
    // Two versions may run at a time, and a cache may be lost.
    cache: join(folder.path, 'cache'),
    complaints,
    async [Symbol.asyncDispose]() {
      await kept[Symbol.asyncDispose]()
      await folder.remove()
    },
  }
}

/** miniflare calls a worker's own socket `direct:INDEX:ENTRYPOINT`; flexi's own worker comes last. */
function socketsIn(
  folder: string,
  { workers, served }: PlaceOptions,
): { readonly paths: ReadonlyMap<string, string>; readonly sockets: ReadonlyMap<string, string> } {
  const control = join(folder, 'control.sock')
  const own = workers.flatMap(({ name }, index) =>
    served.includes(name) ? [{ name, index, path: join(folder, `${index}.sock`) }] : [],
  )
  return {
    paths: new Map([...own.map(({ name, path }) => [name, path] as const), [CONTROL_NAME, control]]),
    sockets: new Map([
      ['entry', join(folder, 'entry.sock')],
      ...own.map(({ index, path }) => [`direct:${index}:default`, path] as const),
      [`direct:${workers.length}:${CONTROL_ENTRYPOINT}`, control],
    ]),
  }
}
