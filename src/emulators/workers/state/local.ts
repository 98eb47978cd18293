import type { FunctionConfig, FunctionScope } from '../../../core/function.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import type { Control } from '../control/control.ts'
import { groupsOf } from '../groups/groups.ts'
import { NO_RESOURCES } from '../control/worker.ts'
import { startControlRuntime, type Runtime } from '../runtime.ts'
import { openSource } from '../source.ts'
import { stateFolder } from '../workerd.ts'
import { controlResources, resourcesOf, type WorkerResources } from './resources.ts'
import { takeTurn } from './turn.ts'

/** Stored data of workers that do not run. */
export interface LocalState extends AsyncDisposable {
  readonly resources: readonly WorkerResources[]
  /** Starts a runtime without workers when it is called first; it ends with this. */
  control(): Promise<Control>
}

export interface LocalStateOptions {
  readonly functions: readonly FunctionConfig[]
  readonly scopeOf: (name: string) => FunctionScope
  /** Called before the first file is written. */
  readonly prepare: () => Promise<void>
}

/** Reads what the workers are bound to. @throws what their wrangler files are at fault with, the first of them. */
export async function openLocalState({
  functions,
  scopeOf,
  prepare,
}: LocalStateOptions): Promise<LocalState> {
  const resources = await Promise.all(functions.map((config) => readResources(config, scopeOf(config.name))))
  const [first] = functions
  let runtime: ReturnType<typeof startAlone> | undefined
  return {
    resources,
    async control() {
      runtime ??= prepare().then(() =>
        startAlone(stateFolder(scopeOf(first?.name ?? '').stateDirectory), resources),
      )
      return (await runtime).control
    },
    async [Symbol.asyncDispose]() {
      await (await runtime?.catch(() => undefined))?.dispose()
    },
  }
}

/** Starts a runtime when no other command has one. */
async function startAlone(
  state: AbsolutePath,
  all: readonly WorkerResources[],
): Promise<Pick<Runtime, 'control' | 'dispose'>> {
  const turn = await takeTurn(state)
  try {
    const resources = { ...NO_RESOURCES, ...controlResources(all) }
    const runtime = await startControlRuntime({ state, resources })
    const { control } = runtime
    return {
      control,
      async dispose() {
        await runtime.dispose()
        await turn[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await turn[Symbol.asyncDispose]()
    throw error
  }
}

async function readResources(config: FunctionConfig, scope: FunctionScope): Promise<WorkerResources> {
  await using _source = await openSource(config, scope)
  const member = groupsOf(scope.app)
    .members()
    .find((one) => one.config.name === config.name)
  if (member === undefined) throw new Error(`${config.name} is no worker of this application`)
  return resourcesOf(config.name, member.settings())
}
