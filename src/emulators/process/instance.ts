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
import { openRelay, tooLate } from './relay.ts'

/** Starts a program and resolves when it can be asked. @throws FlexiError FLEXI_FUNCTION_INIT. */
export async function startInstance(parts: LaunchOptions): Promise<Instance> {
  const { config, scope, options } = parts
  const place = await listenPlace(options, scope.confinement)
  const launched = launch(parts, place)
  const label = labelOf(parts)
  try {
    await becomeReady(launched, { options, place, label })
  } catch (error) {
    await end(launched, place, 0)
    const { message, hint } = asFlexiError(error)
    scope.report({ function: config.name, kind: 'init', name: 'Init', message, hint })
    throw error
  }
  return openInstance(parts, { launched, place, label })
}

interface Running {
  readonly launched: Launched
  readonly place: ListenPlace
  readonly label: string
}

function openInstance(parts: LaunchOptions, { launched, place, label }: Running): Instance {
  const { config, scope, options } = parts
  const timeoutMs = config.timeoutMs ?? LIMITS.requestMs
  let isDisposed = false
  let isStuck = false
  let overMb: number | undefined
  const { exited } = launched.child
  const onLate = async (): Promise<void> => {
    if (isDisposed || (await isAlive(place))) {
      scope.report(timeoutFault(parts, label))
      return
    }
    isStuck = true
    launched.child.kill()
    await exited
    scope.report(timeoutFault(parts, label, true))
  }
  const { port, socketPath } = place
  const relay = openRelay({ name: config.name, port, socketPath, timeoutMs, onLate })
  const stopWatching = limitMemory(parts, launched, (mb) => {
    overMb = mb
    launched.child.kill()
  })
  const closed = exited.then(async (exit) => {
    stopWatching()
    relay.close()
    await end(launched, place, 0)
    if (isDisposed) return undefined
    const fault = faultOf(parts, { label, exit, overMb })
    if (!isStuck) scope.report(fault)
    return new Error(fault.message)
  })
  return {
    async handle(incoming, outgoing, context) {
      try {
        await relay.handle(incoming, outgoing, context)
      } catch (error) {
        if (!isBroken(error) || isDisposed || !(await hasEnded(exited))) throw error
        // Whoever asks next finds it gone.
        await closed
        throw isStuck ? tooLate(timeoutMs) : crashed(label, error)
      }
    },
    upgrade: (incoming, socket, head, context) => relay.upgrade(incoming, socket, head, context),
    closed,
    async [Symbol.asyncDispose]() {
      isDisposed = true
      await end(launched, place, options.stopMs)
      relay.close()
      await closed
    },
  }
}

/** Its connections break a moment before it is known how it ended. */
const KNOWN_MS = 250

async function hasEnded(exited: Promise<ChildExit>): Promise<boolean> {
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

function timeoutFault({ config }: LaunchOptions, label: string, isStuck = false): FunctionFault {
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
  /** What it held when that was too much. */
  readonly overMb: number | undefined
}

function faultOf({ config }: LaunchOptions, { label, exit, overMb }: Ended): FunctionFault {
  if (overMb !== undefined) {
    const message = `${label} used ${overMb} MB of ${config.memoryMb ?? 0}, and was ended`
    const hint = 'Give it more: "memory".'
    return { function: config.name, kind: 'memory', name: 'Memory', message, hint }
  }
  const how = describeExit(exit)
  const message = `${label} ended by itself: ${how}`
  const hint = exit.code === 0 ? 'It has to go on for as long as it is to be asked.' : undefined
  return { function: config.name, kind: 'crash', name: exit.signal ?? 'Exit', message, hint }
}

/** `node server.js` */
function labelOf({ options }: LaunchOptions): string {
  return [basename(options.command), ...options.args.slice(0, 1)].join(' ')
}
