import { randomBytes } from 'node:crypto'

import { LIMITS } from '../../../core/limits.ts'
import { isBare } from '../bare/bare.ts'
import { tellOfNeighbours } from '../bindings/neighbour-warnings.ts'
import type { Control } from '../control/control.ts'
import { watchTriggers, type WatchedControl } from '../control/watched-control.ts'
import { runsByItself, startHeartbeat } from '../events/heartbeat.ts'
import type { RuntimeLine } from '../runtime-log.ts'
import { attachInspector } from '../inspect/attach.ts'
import { inspectorOf } from '../inspect/inspector.ts'
import type { RuntimeSocket } from '../runtime-socket.ts'
import { startRuntime, type Runtime } from '../runtime.ts'
import { probeRuntime } from '../watchdog.ts'
import { stateFolder } from '../workerd.ts'
import { compose, type ComposedPart, type Composition, type Part } from './composition.ts'
import { createGroupOutput } from './group-output.ts'
import { openRunning, type EndKind, type IdleLimits, type RunningWorker } from './running-worker.ts'
import { faultOfEnd, limitOf, watchEnd, type Cast, type End } from './runtime-end.ts'

/** A runtime with all workers of a group in it. */
export interface GroupRuntime {
  readonly pid: number | undefined
  /** In the order in which they were given. */
  readonly workers: readonly RunningWorker[]
  readonly control: Control
  /** Resolves with the reason when the runtime ended by itself or for a fault, after it was reported; never after `dispose()`. */
  readonly ended: Promise<EndKind>
  /** So much was swapped in that the process should be replaced: workerd keeps what it ever loaded. */
  readonly isWorn: boolean
  /** Resolves when no worker has anything under way, or at the limits. */
  idle(limits: IdleLimits): Promise<void>
  closeSockets(): void
  /**
   * Exchanges the program of the only worker inside the running process; requests under way stay with the one before. Undefined when
   * this runtime, or this program, does not allow that.
   * @throws RuntimeStartError when it cannot be loaded; nothing has changed then.
   */
  swap(part: Part): Promise<RunningWorker | undefined>
  /** Resolves when its process is gone; the rest of it is tidied up after that. What is under way breaks. */
  end(): Promise<void>
  /** Resolves when nothing of it is left. What is under way breaks. */
  dispose(): Promise<void>
}

/** @throws RuntimeStartError with workerd's own words; bindings' own errors. */
export async function startGroupRuntime(parts: readonly [Part, ...Part[]]): Promise<GroupRuntime> {
  const token = randomBytes(8).toString('hex')
  const composition = compose(parts, token)
  for (const { member, built, bindings } of composition.parts)
    if (built !== undefined && bindings !== undefined)
      tellOfNeighbours(member.scope, { alone: built.settings.bindings, bound: bindings })
  const stage = new Stage(composition.parts)
  const runtime = await startFor(composition, stage)
  const end = watchEnd(runtime, () => stage.cast)
  const control = watchedControl({ runtime, stage, end })
  const workers = await Promise.all(
    composition.parts.map((part) =>
      openWorker(part, { control, end, cast: stage.cast, socket: runtime.socketOf(part.name) }),
    ),
  )
  const stopHeartbeat = watchBackground({ runtime, stage, end })
  const inspected = attachInspector(runtime.inspector, composition.parts)
  // A request must not pass before its breakpoints are in.
  await inspected?.ready
  return new Group({ runtime, control, stage, end, token, stopHeartbeat, inspected }, workers)
}

/** Where all that a runtime says goes, whoever plays in it. */
class Stage {
  cast: Cast

  constructor(parts: readonly ComposedPart[]) {
    this.cast = { parts, output: createGroupOutput(parts) }
  }
}

/** Some runtimes exchange programs while they run. */
type AnyRuntime = Runtime & { load?(worker: Composition['workers'][number]): Promise<RuntimeSocket> }

async function startFor({ parts, workers, resources }: Composition, stage: Stage): Promise<AnyRuntime> {
  const [first] = parts
  const [worker] = workers
  if (first === undefined || worker === undefined) throw new Error('a runtime without workers is none')
  const state = stateFolder(first.member.scope.stateDirectory)
  const { confinement } = first.member.scope
  const onLine = (line: RuntimeLine): void => stage.cast.output.line(line)
  if (isBare(parts)) {
    const { startBareRuntime } = await import('../bare/bare-runtime.ts')
    return await startBareRuntime({ worker, state, onLine, confinement })
  }
  const isInspected = parts.some(({ member }) => member.scope.inspectPort !== undefined)
  return await startRuntime({
    workers,
    served: parts.map(({ name }) => name),
    resources,
    state,
    confinement,
    inspectPort: isInspected ? 0 : undefined,
    onLine,
    onNote: (note) => stage.cast.output.note(note),
  })
}

/** With the limits of whoever is in the runtime at that moment. */
function watchedControl({ runtime, stage, end }: Pick<Inside, 'runtime' | 'stage' | 'end'>): WatchedControl {
  const partOf = (worker: string): ComposedPart | undefined =>
    stage.cast.parts.find(({ name }) => name === worker) ?? stage.cast.parts[0]
  return watchTriggers(runtime.control, {
    limitMs(worker) {
      const part = partOf(worker)
      return part === undefined ? LIMITS.initMs : limitOf(part.member)
    },
    probe: () => probeRuntime(runtime.socketOf(stage.cast.parts[0]?.name ?? '')),
    paused: () =>
      stage.cast.parts.some(
        ({ member: { config, scope } }) =>
          scope.inspectPort !== undefined && inspectorOf(scope.app).isAttached(config.name),
      ),
    async onStuck(worker) {
      const part = partOf(worker)
      if (part !== undefined) await end.because('timeout', part)
    },
  })
}

/** A person at a breakpoint holds up everything, so nobody looks where there may be one. */
function watchBackground({ runtime, stage, end }: Pick<Inside, 'runtime' | 'stage' | 'end'>): () => void {
  const { parts } = stage.cast
  const part = parts.find(({ member }) => runsByItself(member.settings().config))
  if (part === undefined || parts.some(({ member }) => member.scope.inspectPort !== undefined))
    return () => undefined
  const socket = runtime.socketOf(part.name)
  return startHeartbeat({
    limitMs: limitOf(part.member),
    probe: () => probeRuntime(socket),
    onStuck: () => void end.because('timeout', part),
  })
}

interface Inside {
  readonly runtime: AnyRuntime
  readonly control: WatchedControl
  readonly stage: Stage
  readonly end: End
  /** What the parts' own names are made of. */
  readonly token: string
  stopHeartbeat(): void
  readonly inspected: Disposable | undefined
}

/** workerd keeps 1.4 MB for the least program that it ever loaded. */
const SWAPS_MAX = 10
/** And three bytes for each of a program. */
const SWAPPED_BYTES_MAX = 8_000_000

class Group implements GroupRuntime {
  readonly #inside: Inside
  /** What was swapped out: it may still answer, and its WebSockets last as long as the process does. */
  readonly #left: RunningWorker[] = []
  #workers: readonly RunningWorker[]
  #swaps = 0
  #swappedBytes = 0

  constructor(inside: Inside, workers: readonly RunningWorker[]) {
    this.#inside = inside
    this.#workers = workers
    void inside.runtime.ended.then(() => this.#close())
  }

  get pid(): number | undefined {
    return this.#inside.runtime.pid
  }

  get workers(): readonly RunningWorker[] {
    return this.#workers
  }

  get control(): Control {
    return this.#inside.control
  }

  get ended(): Promise<EndKind> {
    return this.#inside.end.ended
  }

  get isWorn(): boolean {
    return this.#swaps >= SWAPS_MAX || this.#swappedBytes >= SWAPPED_BYTES_MAX
  }

  async idle(limits: IdleLimits): Promise<void> {
    const workers = [...this.#workers, ...this.#left].map((worker) => worker.idle(limits))
    await Promise.all([...workers, this.#inside.control.idle(limits.answerMs)])
  }

  closeSockets(): void {
    for (const worker of [...this.#workers, ...this.#left]) worker.closeSockets()
  }

  async swap(part: Part): Promise<RunningWorker | undefined> {
    const { control, stage, end, token } = this.#inside
    const composition = compose([part], token)
    const [next] = composition.parts
    const socket = await this.#load(composition)
    if (socket === undefined || next === undefined) return undefined
    stage.cast = new Stage([next]).cast
    const fresh = await openWorker(next, { control, end, cast: stage.cast, socket })
    for (const old of this.#workers) this.#leave(old)
    this.#workers = [fresh]
    this.#swaps += 1
    this.#swappedBytes += part.built?.program?.code.length ?? 0
    return fresh
  }

  async #load({ parts, workers }: Composition): Promise<RuntimeSocket | undefined> {
    const { runtime, stage } = this.#inside
    const [worker] = workers
    if (worker === undefined || !isBare(parts) || worker.name !== stage.cast.parts[0]?.name) return undefined
    return await runtime.load?.(worker)
  }

  #leave(worker: RunningWorker): void {
    this.#left.push(worker)
    void worker
      .idle({ requestMs: LIMITS.drainMs, answerMs: LIMITS.drainMs, sockets: false })
      .then(() => worker.close())
  }

  async end(): Promise<void> {
    const { runtime, end } = this.#inside
    end.stop()
    runtime.kill()
    await runtime.ended
  }

  async dispose(): Promise<void> {
    this.#inside.stopHeartbeat()
    this.#inside.end.stop()
    this.closeSockets()
    await Promise.all([this.#inside.runtime.dispose(), this.#close()])
  }

  async #close(): Promise<void> {
    this.#inside.stopHeartbeat()
    this.#inside.inspected?.[Symbol.dispose]()
    this.#inside.stage.cast.output.close()
    await Promise.all([...this.#workers, ...this.#left].map((worker) => worker.close()))
  }
}

interface Setting {
  readonly control: Control
  readonly end: End
  readonly cast: Cast
  readonly socket: RuntimeSocket
}

function openWorker(part: ComposedPart, { control, end, cast, socket }: Setting): Promise<RunningWorker> {
  const { member, name, names } = part
  const { config, scope } = member
  return openRunning({
    socket,
    faultField: names.faultField,
    limitMs: limitOf(member),
    countsWaiting: config.timeoutMs !== undefined,
    faultOf: ({ record }, requestId) => cast.output.thrown(record, part, requestId),
    faultOfEnd: (kind) => faultOfEnd(kind, part, cast),
    report: (fault) => scope.report(fault),
    probe: () => probeRuntime(socket),
    debugged: () => scope.inspectPort !== undefined && inspectorOf(scope.app).isAttached(config.name),
    held: scope.breakAtStart === true ? inspectorOf(scope.app).debugger(config.name) : undefined,
    endRuntime: () => end.because('timeout', part),
    ended: end.ended,
    isStopped: () => end.isStopped,
    control,
    worker: name,
    config: (part.built?.settings ?? member.settings()).config,
    scope,
  })
}
