import type { FunctionConfig, FunctionScope, Instance } from '../../../core/function.ts'
import type { Control } from '../control/control.ts'
import type { Settings } from '../settings.ts'
import type { Program } from '../worker-bundle.ts'
import { createRegister } from './register.ts'

/** One revision of a worker, ready to run. */
export interface BuiltWorker {
  readonly settings: Settings
  /** Undefined for a worker that serves assets only. */
  readonly program: Program | undefined
}

/** A worker of the project, as those that it may be connected with see it. */
export interface Member {
  readonly config: FunctionConfig
  readonly scope: FunctionScope
  /** What was read of its files last. The name that other workers bind to is `settings().config.name`. */
  settings(): Settings
  /**
   * What was built last; builds when nobody has yet.
   * @throws FlexiError FLEXI_CONFIG, FLEXI_BUILD while there has been no good build.
   */
  built(): Promise<BuiltWorker>
}

/**
 * The workers of one running application. Those that are connected (bound to each other, or to the same stored data) share one runtime
 * process; the others have their own, so that a change of one leaves the others alone.
 */
export interface Groups {
  /** Of each function the newest source. */
  members(): readonly Member[]
  /** Makes a worker known; disposing takes it out again. */
  join(member: Member): Disposable
  /** Puts this revision of a member into force and resolves when it answers. @throws FlexiError FLEXI_FUNCTION_INIT. */
  start(member: Member, built: BuiltWorker): Promise<Instance>
  /**
   * The control of the runtime that serves this function, wherever that moves to; starts one when none runs, and waits while it is exchanged.
   * @throws FlexiError FLEXI_FUNCTION_UNKNOWN, and what keeps it from being started.
   */
  control(name: string): Promise<Control>
}

const all = new WeakMap<object, Groups>()

/** `app` is `FunctionScope.app` and `ApiHost.app`. */
export function groupsOf(app: object): Groups {
  const found = all.get(app)
  if (found !== undefined) return found
  const groups = createRegister()
  all.set(app, groups)
  return groups
}
