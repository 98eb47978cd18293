import { basename } from 'node:path'

import { asFlexiError, FlexiError } from '../../core/errors.ts'
import type { FunctionFault, Instance } from '../../core/function.ts'
import { LIMITS } from '../../core/limits.ts'
import type { ChildExit } from '../../instances/child.ts'
import { watchMemory } from '../../instances/memory.ts'
import { isAlive } from './alive.ts'
import { launch, type LaunchOptions, type Launched } from './launch.ts'
import { listenPlace, type ListenPlace } from './place.ts'
import { becomeReady, describeExit } from './ready.ts'
import type { Reached } from './reach.ts'
import { openRelay, tooLate } from './relay.ts'

/** Starts a program and resolves when it can be asked. @throws FlexiError FLEXI_FUNCTION_INIT. */
export async function startInstance(parts: LaunchOptions): Promise<Instance> {
  const { config, scope, options } = parts
  const place = await listenPlace(options, scope.confinement)
  const launched = launch(parts, place)
  const label = labelOf(parts)
  try {
    const reached = await becomeReady(launched, { options, place, label })
    return openInstance(parts, { launched, place, reached, label })
  } catch (error) {
    await end(launched, place, 0)
    const { message, hint } = asFlexiError(error)
    scope.report({ function: config.name, kind: 'init', name: 'Init', message, hint })
    throw error
  }
}

interface Running {
  readonly launched: Launched
  readonly place: ListenPlace
  readonly reached: Reached
  readonly label: string
}

/** How the end of a program came about. */
interface Ending {
  isDisposed: boolean
  /** It answered nothing any more. */
  isStuck: boolean
  /** What it held when that was too much. */
  overMb: number | undefined
}

function openInstance(parts: LaunchOptions, running: Running): Instance {
  const { config, options } = parts
  const { launched, place, reached, label } = running
  const timeoutMs = config.timeoutMs ?? LIMITS.requestMs
  const ending: Ending = { isDisposed: false, isStuck: false, overMb: undefined }
  const onLate = (): Promise<void> => tellLate(parts, running, ending)
  const relay = openRelay({ name: config.name, reached, timeoutMs, onLate })
  const stopWatching = limitMemory(parts, launched, (mb) => {
    ending.overMb = mb
    launched.child.kill()
  })
  const { exited } = launched.child
  const closed = exited.then(async (exit) => {
    stopWatching()
    relay.close()
    reached.close()
    await end(launched, place, 0)
    return ending.isDisposed ? undefined : tellEnd(parts, { label, exit, ending })
  })
  return {
    async handle(incoming, outgoing, context) {
      try {
        await relay.handle(incoming, outgoing, context)
      } catch (error) {
        if (ending.isDisposed || !(ending.isStuck || (await isCrash(error, exited)))) throw error
        // Whoever asks next finds it gone.
        await closed
        throw ending.isStuck ? tooLate(timeoutMs) : crashed(label, error)
      }
    },
    upgrade: (incoming, socket, head, context) => relay.upgrade(incoming, socket, head, context),
    closed,
    async [Symbol.asyncDispose]() {
      ending.isDisposed = true
      await end(launched, place, options.stopMs)
      relay.close()
      await closed
    },
  }
}

/** One request has waited for too long. A program that answers nothing else either is ended. */
async function tellLate(
  parts: LaunchOptions,
  { launched: { child }, reached, label }: Running,
  ending: Ending,
): Promise<void> {
  const isLost = !ending.isDisposed && !(await isAlive(reached))
  if (isLost) {
    ending.isStuck = true
    child.kill()
    await child.exited
  }
  parts.scope.report(timeoutFault(parts, label, isLost))
}

/** Its connections break a moment before it is known how it ended. */
const KNOWN_MS = 250

async function isCrash(error: unknown, exited: Promise<ChildExit>): Promise<boolean> {
  if (!isBroken(error)) return false
  let timer: NodeJS.Timeout | undefined
  const later = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), KNOWN_MS)
  })
  const isOver = await Promise.race([exited.then(() => true), later])
  clearTimeout(timer)
  return isOver
}

function crashed(label: string, cause: unknown): FlexiError {
  return new FlexiError('FLEXI_FUNCTION_CRASHED', `${label} ended while it was asked`, { cause })
}

function isBroken(error: unknown): boolean {
  return error instanceof FlexiError && error.code.startsWith('FLEXI_UPSTREAM')
}

/** SIGTERM lets it finish; what is left after `stopMs` is killed. */
async function end(launched: Launched, place: ListenPlace, stopMs: number): Promise<void> {
  const { child } = launched
  let timer: NodeJS.Timeout | undefined
  if (stopMs > 0) {
    child.kill('SIGTERM')
    timer = setTimeout(() => child.kill(), stopMs)
  } else child.kill()
  await child.exited
  clearTimeout(timer)
  await launched.close()
  await place[Symbol.asyncDispose]()
}

function timeoutFault({ config }: LaunchOptions, label: string, isStuck: boolean): FunctionFault {
  const limit = `${(config.timeoutMs ?? LIMITS.requestMs) / 1000} s`
  const message = `${label} did not answer within ${limit}${isStuck ? ', nor anything else: it was ended' : ''}`
  return {
    function: config.name,
    kind: 'timeout',
    name: 'Timeout',
    message,
    hint: 'Give it more: "timeout".',
  }
}

const MB = 1024 * 1024

/** What is kept apart has its limit from what keeps it apart. */
function limitMemory(
  { config, scope }: LaunchOptions,
  { child }: Launched,
  onExceeded: (mb: number) => void,
): () => void {
  const { memoryMb } = config
  const pid = child.programPid()
  if (memoryMb === undefined || pid === undefined || scope.confinement !== undefined) return () => undefined
  return watchMemory(pid, memoryMb * MB, (bytes) => onExceeded(Math.ceil(bytes / MB)))
}

interface Ended {
  readonly label: string
  readonly exit: ChildExit
  readonly ending: Ending
}

/** Undefined for a program that had done its work: it is not started again before somebody asks. */
function tellEnd(parts: LaunchOptions, ended: Ended): Error | undefined {
  const { label, exit, ending } = ended
  if (exit.code === 0 && ending.overMb === undefined && !ending.isStuck) {
    const text = `${label} ended by itself: exit code 0`
    parts.scope.output({ stream: 'platform', level: 'info', text })
    return undefined
  }
  const fault = faultOf(parts, ended)
  // That it was stuck was told before.
  if (!ending.isStuck) parts.scope.report(fault)
  return new Error(fault.message)
}

function faultOf({ config }: LaunchOptions, { label, exit, ending: { overMb } }: Ended): FunctionFault {
  if (overMb !== undefined || exit.reached === 'memory') {
    const held =
      overMb === undefined ? 'up the memory of its sandbox' : `${overMb} MB of ${config.memoryMb ?? 0}`
    const message = `${label} used ${held}, and was ended`
    const hint = 'Give it more: "memory".'
    return { function: config.name, kind: 'memory', name: 'Memory', message, hint }
  }
  const message = `${label} ended by itself: ${describeExit(exit)}`
  return { function: config.name, kind: 'crash', name: exit.signal ?? 'Exit', message }
}

/** `node server.js` */
function labelOf({ options }: LaunchOptions): string {
  return [basename(options.command), ...options.args.slice(0, 1)].join(' ')
}
