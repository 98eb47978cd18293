import { Socket } from 'node:net'
import { inspect } from 'node:util'

import { CHANNEL_FD, openChannel, type Frame } from '../../instances/channel.ts'
import { patchConsole, type Log } from './host/console.ts'
import { describeError, runtimeError, toLambdaError } from './host/errors.ts'
import { Invoker } from './host/invoker.ts'
import { loadHandler } from './host/loader.ts'
import { streamingGlobal } from './host/stream.ts'
import { CONSOLE_LEVELS, FROM_HOST, LOG_FORMATS, TO_HOST, type HostInit } from './protocol.ts'

// A bare bootstrap: it loads no code of the user's before the init frame says which. What it imports is paid at every cold start.

const socket = new Socket({ fd: CHANNEL_FD })
const channel = openChannel(socket, receive)
let invoker: Invoker | undefined

// Without its server this process has no purpose.
void channel.closed.then(() => process.exit())

// All that does not depend on the code is done while the process waits for it.
process.setSourceMapsEnabled(true)
Object.assign(globalThis, { awslambda: streamingGlobal() })
const log: Log = patchConsole({
  format: process.env['AWS_LAMBDA_LOG_FORMAT'],
  level: process.env['AWS_LAMBDA_LOG_LEVEL'],
  requestId: () => invoker?.requestId,
  write: (level, text, format) =>
    channel.send(
      FROM_HOST.log,
      invoker?.id ?? 0,
      `${CONSOLE_LEVELS.indexOf(level)}${LOG_FORMATS[format]}${text}`,
    ),
})

function receive(frame: Frame): void {
  if (frame.kind === TO_HOST.invoke) invoker?.invoke(frame)
  else if (frame.kind === TO_HOST.recall) invoker?.recall(frame.id)
  else if (frame.kind === TO_HOST.taken) invoker?.taken(Number(frame.payload.toString('latin1')))
  else if (frame.kind === TO_HOST.init) void initialise(JSON.parse(frame.payload.toString()) as HostInit)
}

async function initialise(init: HostInit): Promise<void> {
  Object.assign(process.env, init.environment)
  process.on('uncaughtException', (error) => fail('Uncaught Exception', { error, exitCode: 129 }))
  process.on('unhandledRejection', (reason) =>
    fail('Unhandled Promise Rejection', { error: unhandledRejection(reason), exitCode: 128 }),
  )
  process.on('beforeExit', () => (invoker === undefined ? failInit(stuckImport()) : invoker.loopEmpty()))
  try {
    // While the module loads, the channel alone keeps nothing alive: an await that can never settle is noticed.
    socket.unref()
    const opt = process.env['FLEXI_OPT']
    if (opt !== undefined) (await import('./layers/import-from-layers.ts')).importFromLayers(opt)
    const handler = await loadHandler(init)
    socket.ref()
    invoker = new Invoker({ handler, context: init.context, channel, socket, log })
    channel.send(FROM_HOST.ready, 0)
  } catch (error) {
    failInit(error)
  }
}

function failInit(error: unknown): void {
  channel.send(FROM_HOST.initError, 0, JSON.stringify(toLambdaError(error)))
  exit(1)
}

function stuckImport(): Error {
  return runtimeError(
    'Runtime.NodeJsExit',
    'The module awaits a promise at its top level that nothing is left to settle.',
  )
}

/** User code left an error to nobody: it is told, and this environment ends as Lambda's does. */
function fail(title: string, { error, exitCode }: { error: unknown; exitCode: number }): void {
  log('ERROR', [`${title}\t${describeError(error)}`], 'notice')
  channel.send(FROM_HOST.fatal, invoker?.id ?? 0, JSON.stringify(toLambdaError(error)))
  exit(exitCode)
}

function unhandledRejection(reason: unknown): Error {
  const error = new Error(reason instanceof Error ? String(reason) : inspect(reason))
  error.name = 'Runtime.UnhandledPromiseRejection'
  const stack = reason instanceof Error ? reason.stack : undefined
  error.stack = `${error.name}: ${stack ?? error.message}`
  return Object.assign(error, { reason })
}

/** What was sent still leaves, unless the server no longer reads. */
function exit(code: number): void {
  process.exitCode = code
  setTimeout(() => process.exit(code), 500)
  socket.end(() => process.exit(code))
}
