import { fileURLToPath } from 'node:url'

import type { Child, ChildOptions } from '../../../instances/child.ts'
import type { Frame } from '../../../instances/channel.ts'
import { hostFiles } from '../../../instances/host-files.ts'
import type { Spare } from '../../../instances/standby.ts'
import { CONSOLE_LEVELS, FROM_HOST, TO_HOST, type HostInit, type LogFormat } from '../protocol.ts'
import type { Environment, EnvironmentEvents } from './environment.ts'
import { shellExit } from './shell-exit.ts'

export interface NodeProcessOptions {
  /** The whole environment, but what is known only when code is loaded. */
  readonly environment: Readonly<Record<string, string>>
  readonly cwd: string
  readonly memoryMb: number
  readonly inspectPort: number | undefined
  /** A program that is given the runtime's command line and runs it: AWS_LAMBDA_EXEC_WRAPPER. */
  readonly wrapper: string | undefined
  /** How its process is started: `startChild`, or among others of its environment. */
  readonly start: (options: ChildOptions) => Child
}

/** A Node process with the bare host in it, waiting for code. */
export interface NodeProcess extends Spare {
  readonly child: Child
  /** Where frames and lines go once code is in it. */
  receiver: ((frame: Frame) => void) | undefined
  printer: ((stream: 'stdout' | 'stderr', text: string) => void) | undefined
}

export function startNodeProcess(options: NodeProcessOptions): NodeProcess {
  const host = fileURLToPath(import.meta.resolve('#host/lambda'))
  const command = [process.execPath, ...nodeFlags(options), host]
  const [first = process.execPath, ...args] =
    options.wrapper === undefined ? command : [options.wrapper, ...command]
  let alive = true
  const started: NodeProcess = {
    child: options.start({
      command: first,
      args,
      cwd: options.cwd,
      environment: options.environment,
      readable: hostFiles(host),
      onFrame: (frame) => started.receiver?.(frame),
      onLine: (stream, text) => started.printer?.(stream, text),
    }),
    receiver: undefined,
    printer: undefined,
    get alive() {
      return alive
    },
    async [Symbol.asyncDispose]() {
      started.child.kill()
      await started.child.exited
    },
  }
  void started.child.exited.then(() => {
    alive = false
  })
  return started
}

/** What a bare Node holds outside of its heap, and what the heap must leave to it. */
const NODE_OWN_MB = 40
const HEAP_MB_MIN = 32

function nodeFlags({ memoryMb, inspectPort }: NodeProcessOptions): string[] {
  const heapMb = Math.max(HEAP_MB_MIN, memoryMb - NODE_OWN_MB)
  return [
    `--max-old-space-size=${heapMb}`,
    // A young generation of the default size would alone take a third of a small function's memory.
    `--max-semi-space-size=${Math.max(2, Math.min(16, Math.floor(memoryMb / 32)))}`,
    // The user's own code may require ES modules; that Node calls it experimental is not for them to read on each start.
    '--disable-warning=ExperimentalWarning',
    ...(inspectPort === undefined ? [] : [`--inspect=127.0.0.1:${inspectPort}`]),
  ]
}

/** An environment for JavaScript: the host of ours, spoken to in frames. */
export function nodeEnvironment(process_: NodeProcess, init: HostInit): Environment {
  let number = 0
  return {
    get pid() {
      return process_.child.programPid()
    },
    initialise: (events) => initialise(process_, init, events),
    invoke({ id, deadline, trace, clientContext, functionArn = '', bodyApart, event }) {
      number += 1
      const context = clientContext === undefined ? '' : encodeURIComponent(clientContext)
      const head = `${id}\t${deadline}\t${trace}\t${context}\t${functionArn}\t${bodyApart === true ? '1' : ''}\n`
      const payload = typeof event === 'string' ? head + event : [head, event]
      process_.child.channel?.send(TO_HOST.invoke, number, payload)
    },
    recall: () => void process_.child.channel?.send(TO_HOST.recall, number),
    terminate() {
      process_.child.kill('SIGTERM')
      return process_.alive
    },
    async kill() {
      process_.child.kill()
      await process_.child.exited
    },
  }
}

function initialise(
  process_: NodeProcess,
  init: HostInit,
  events: EnvironmentEvents,
): Promise<{ readonly error: Buffer | undefined }> {
  const { child } = process_
  return new Promise((resolve) => {
    const receivers = frameReceivers(events, child, resolve)
    process_.receiver = (frame) => receivers[frame.kind]?.(frame)
    process_.printer = (stream, text) => events.printed({ stream, level: undefined, text, format: 'text' })
    void child.exited.then((exit) => events.gone(shellExit(exit)))
    child.channel?.send(TO_HOST.init, 0, JSON.stringify(init))
  })
}

const LINE_FEED = 10

type Receiver = (frame: Frame) => void

function frameReceivers(
  events: EnvironmentEvents,
  child: Child,
  initialised: (outcome: { readonly error: Buffer | undefined }) => void,
): Readonly<Record<number, Receiver>> {
  return {
    [FROM_HOST.result]: ({ payload }) => events.done({ kind: 'result', payload }),
    [FROM_HOST.resultApart]: ({ payload: both }) => {
      const end = both.indexOf(LINE_FEED)
      const [payload, body] = [both.subarray(0, end), both.subarray(end + 1)]
      events.done({ kind: 'result', payload, body })
    },
    [FROM_HOST.error]: ({ payload }) => events.done({ kind: 'error', payload }),
    [FROM_HOST.log]: ({ payload }) => {
      const level = CONSOLE_LEVELS[(payload[0] ?? 0) - 48] ?? 'INFO'
      const stream = level === 'ERROR' || level === 'FATAL' || level === 'WARN' ? 'stderr' : 'stdout'
      events.printed({ stream, level, text: payload.toString('utf8', 2), format: logFormat(payload[1]) })
    },
    [FROM_HOST.streamStart]: ({ payload }) => events.streamStarted(payload.toString()),
    [FROM_HOST.streamChunk]: ({ id, payload }) =>
      events.streamChunk(payload, () => child.channel?.send(TO_HOST.taken, id, String(payload.length))),
    [FROM_HOST.streamEnd]: ({ payload }) =>
      events.done({ kind: 'streamed', error: payload.length === 0 ? undefined : payload }),
    [FROM_HOST.fatal]: ({ payload }) => {
      initialised({ error: payload })
      events.fatal(payload)
    },
    [FROM_HOST.recalled]: () => events.recalled(),
    [FROM_HOST.ready]: () => initialised({ error: undefined }),
    [FROM_HOST.initError]: ({ payload }) => initialised({ error: payload }),
  }
}

function logFormat(letter: number | undefined): LogFormat {
  return letter === 0x6a ? 'whole' : letter === 0x6e ? 'notice' : 'text'
}
