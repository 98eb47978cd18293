import { json } from 'node:stream/consumers'

import { FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'
import {
  findResource,
  openLocalState,
  type StateKind,
  type StateResource,
  type Wanted,
  type WorkerResources,
} from '../emulators/workers/state/index.ts'
import { askServer, remoteControl } from './remote-control.ts'
import { runningServer } from './running.ts'

/** What commands do with stored data. A file of its own: they need nothing else of the application. */
export {
  applyMigrations,
  createMigration,
  execute,
  exportSql,
  findResource,
  kvNamespace,
  listMigrations,
  r2Bucket,
  sendMessage,
  storedSecret,
  type D1Result,
  type D1Value,
  type KvEntry,
  type KvKey,
  type MessageType,
  type Migration,
  type R2Object,
  type StoredDatabase,
  type StoredQueue,
  type StoredResource,
  type StoredSecretName,
  type WorkerResources,
} from '../emulators/workers/state/index.ts'

export interface WorkerStateOptions {
  readonly directory: AbsolutePath
  readonly configFile?: AbsolutePath | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Only this worker's. */
  readonly function?: string | undefined
  /** An `env` of the wrangler files; default what a running server uses, else CLOUDFLARE_ENV. */
  readonly env?: string | undefined
  /** How long a running server may take to say what it serves; default 10 s. */
  readonly answerMs?: number | undefined
}

/** Stored data of a project's workers: asked of the server that runs them, or of a runtime that is started for it. */
export interface WorkerState extends AsyncDisposable {
  readonly resources: readonly WorkerResources[]
  /** A `flexi dev` of this folder runs, and is asked. */
  readonly running: boolean
  /** @throws FlexiError FLEXI_NO_INPUT, FLEXI_USAGE when there is no such resource, or more than one. */
  find<Kind extends StateKind>(
    kind: Kind,
    wanted: Wanted,
  ): Promise<StateResource & { readonly found: WorkerResources[Kind][number] }>
}

/** @throws FlexiError FLEXI_CONFIG, FLEXI_FUNCTION_UNKNOWN. */
export async function openWorkerState(options: WorkerStateOptions): Promise<WorkerState> {
  const server = await askRunning(options)
  const local = server === undefined || options.env !== undefined ? await openLocal(options) : undefined
  const all = local?.resources ?? server?.functions ?? []
  const resources = only(all, options.function)
  return {
    resources,
    running: server !== undefined,
    async find(kind, wanted) {
      const found = findResource(resources, kind, wanted)
      // By id: what is stored belongs to no worker, and may be opened by one process only.
      const owner = server?.functions.find((one) => one[kind].some(({ id }) => id === found.id))
      if (server !== undefined && owner !== undefined)
        return { control: remoteControl(server.control, owner.function), kind, id: found.id, found }
      if (local === undefined) throw new Error('a server names only what is its own')
      return { control: await local.control(), kind, id: found.id, found }
    },
    async [Symbol.asyncDispose]() {
      await local?.[Symbol.asyncDispose]()
    },
  }
}

interface Server {
  readonly control: string
  readonly functions: readonly WorkerResources[]
}

/** A server that lives says at once what it serves. */
const ANSWER_MS = 10_000

/**
 * Undefined when none runs, or the note of one that was killed is another process's by now.
 * @throws FlexiError FLEXI_UPSTREAM_TIMEOUT for one that was suspended, and has the data open.
 */
async function askRunning({
  directory,
  answerMs = ANSWER_MS,
}: WorkerStateOptions): Promise<Server | undefined> {
  const server = await runningServer(directory)
  if (server === undefined) return undefined
  const limit = AbortSignal.timeout(answerMs)
  const answer = await askServer(server.control, '/workers/state', limit).catch((cause: unknown) => {
    if (!limit.aborted) return undefined
    throw new FlexiError(
      'FLEXI_UPSTREAM_TIMEOUT',
      `flexi runs here as process ${server.pid}, and does not answer`,
      {
        hint: 'Bring it back with "fg" where it was suspended, or end it.',
        cause,
      },
    )
  })
  if (answer?.status !== 200) {
    answer?.body.resume()
    return undefined
  }
  const { functions } = (await json(answer.body)) as { functions: readonly WorkerResources[] }
  return { control: server.control, functions }
}

async function openLocal(options: WorkerStateOptions): ReturnType<typeof openLocalState> {
  const { readWorkers } = await import('./local-workers.ts')
  return openLocalState(await readWorkers(options))
}

function only(all: readonly WorkerResources[], name: string | undefined): readonly WorkerResources[] {
  if (name === undefined) return all
  const found = all.filter((resources) => resources.function === name)
  if (found.length > 0) return found
  const names = all.map((resources) => resources.function)
  throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `no worker is called ${name}`, {
    hint: `This project has: ${names.join(', ') || 'no workers'}.`,
  })
}
