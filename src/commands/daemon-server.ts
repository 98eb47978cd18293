import { FlexiError } from '../core/errors.ts'
import type { AccessRecord } from '../core/events.ts'
import { createLogger, type LogRecord } from '../core/log.ts'
import { startDaemon, type Daemon, type DaemonOptions } from '../daemon/daemon.ts'
import type { FromDaemon, ToDaemon } from './daemon-supervisor.ts'
import { LISTEN_FD } from './served-process.ts'

export interface DaemonServerOptions extends Omit<DaemonOptions, 'fd' | 'log' | 'onAccess' | 'port'> {
  readonly accessLog: boolean
}

/**
 * Serves on the socket that the supervisor holds, until a signal, a successor or the supervisor's end asks for the end; returns the exit
 * code. @throws FlexiError as `startDaemon`; FLEXI_USAGE without a supervisor.
 */
export async function serveDaemon({ accessLog, ...options }: DaemonServerOptions): Promise<number> {
  if (process.send === undefined)
    throw new FlexiError('FLEXI_USAGE', '--child is for the supervisor of "flexi daemon start"', {
      hint: 'Leave it away.',
    })
  const end = ending()
  const daemon = await startDaemon({
    ...options,
    port: 0,
    fd: LISTEN_FD,
    log: createLogger(printRecord),
    onAccess: accessLog ? printAccess : undefined,
  })
  const { url, socket, functions, rootToken } = daemon
  for (const note of daemon.notes) process.stderr.write(`note: ${note}\n`)
  tell({ ready: true, url, socket, functions, rootToken })
  await finish(daemon, end)
  return 0
}

/** `stop`: within the drain limit. `retire`: as long as what is under way lasts. */
interface Ending {
  readonly stop: Promise<'stop'>
  readonly retire: Promise<'retire'>
}

function ending(): Ending {
  return {
    stop: new Promise((resolve) => {
      const stop = (): void => resolve('stop')
      process.on('SIGTERM', stop).on('SIGINT', stop).on('disconnect', stop)
      // For the supervisor, who was asked by the terminal too.
      process.on('SIGHUP', () => undefined)
    }),
    retire: new Promise((resolve) => {
      process.on('message', (message: ToDaemon) => {
        if (message.retire) resolve('retire')
      })
    }),
  }
}

async function finish(daemon: Daemon, { stop, retire }: Ending): Promise<void> {
  const how = await Promise.race([stop, retire])
  if (how === 'stop') return await daemon[Symbol.asyncDispose]()
  const stopped = stop.then(() => daemon[Symbol.asyncDispose]())
  await Promise.race([daemon.retire(), stopped])
}

function tell(message: FromDaemon): void {
  if (process.connected) process.send?.(message, () => undefined)
}

function printRecord({ time, level, event, fields }: LogRecord): void {
  process.stderr.write(`${JSON.stringify({ time: new Date(time).toISOString(), level, event, ...fields })}\n`)
}

function printAccess(record: AccessRecord): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...record })}\n`)
}
