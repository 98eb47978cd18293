import type { FunctionFault } from '../../../core/function.ts'
import { watchMemory } from '../../../instances/memory.ts'
import { endFault } from '../faults.ts'
import type { Runtime } from '../runtime.ts'
import type { ComposedPart, Part } from './composition.ts'
import type { GroupOutput } from './group-output.ts'
import type { EndKind } from './running-worker.ts'

/** What runs in a runtime at the moment. */
export interface Cast {
  readonly parts: readonly ComposedPart[]
  readonly output: GroupOutput
}

export interface End {
  /** Resolves with the reason when the runtime ended by itself or for a fault, after it was reported; never after `stop()`. */
  readonly ended: Promise<EndKind>
  /** Ends the runtime because of this member, and resolves when that has been told. */
  because(kind: EndKind, part: ComposedPart | undefined): Promise<void>
  /** What ends now ends as it should. */
  stop(): void
  readonly isStopped: boolean
}

/** Cloudflare's default for CPU time on its paid plan. */
const CPU_MS = 30_000
/** Cloudflare's limit for one isolate. */
const ISOLATE_MB = 128
/** What workerd holds besides the isolates: it keeps freed pages under load and grew to 500 MB with a trivial worker. */
const RUNTIME_MB = 640

/** Everything that can end a runtime before it is disposed: itself, a loop, its memory. Reported once, to the first worker where it is nobody's own. */
export function watchEnd(runtime: Runtime, castOf: () => Cast): End {
  let reason: { readonly kind: EndKind; readonly part: ComposedPart | undefined } | undefined
  let stopped = false
  const because: End['because'] = async (kind, part) => {
    reason ??= { kind, part }
    runtime.kill()
    await runtime.ended
  }
  const { pid } = runtime
  const stopMemory =
    pid === undefined
      ? () => undefined
      : watchMemory(pid, memoryMax(castOf().parts), () => void because('memory', undefined))
  const ended = runtime.ended.then(() => {
    stopMemory()
    const cast = castOf()
    const { kind, part = cast.parts[0] } = reason ?? { kind: endOf(runtime), part: undefined }
    if (part !== undefined && !stopped) part.member.scope.report(faultOfEnd(kind, part, cast))
    return stopped ? new Promise<never>(() => undefined) : kind
  })
  return {
    ended,
    because,
    get isStopped() {
      return stopped
    },
    stop() {
      stopped = true
      stopMemory()
    },
  }
}

function endOf(runtime: Runtime): EndKind {
  return runtime.ranOut() ? 'memory' : 'crash'
}

/** The end of the runtime as the author of this part is told. */
export function faultOfEnd(kind: EndKind, { member }: ComposedPart, { output, parts }: Cast): FunctionFault {
  return endFault({
    name: member.config.name,
    kind,
    lastWords: output.lastWords(),
    limitMs: limitOf(member),
    memoryBytesMax: member.scope.confinement === undefined ? memoryMax(parts) : undefined,
  })
}

export function limitOf(member: Part['member']): number {
  return member.config.timeoutMs ?? member.settings().config.limits?.cpu_ms ?? CPU_MS
}

function memoryMax(parts: readonly ComposedPart[]): number {
  const isolates = parts.map(({ member }) => member.config.memoryMb ?? ISOLATE_MB)
  return isolates.reduce((sum, mb) => sum + mb, RUNTIME_MB) * 1024 * 1024
}
