import { FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'
import { claimNote, removeNote, writeNote } from '../daemon/note.ts'
import { placeOf } from '../daemon/place.ts'
import { makeFolder } from './daemon-options.ts'
import type { DaemonReady } from './daemon-supervisor.ts'

/** Set for the process that `--detach` leaves behind. */
export const DETACHED = 'FLEXI_DETACHED'

export interface RunDaemonOptions {
  readonly directory: AbsolutePath
  readonly version: string
  readonly domain: string
  readonly host: string
  readonly port: number
  readonly args: readonly string[]
}

/** What the process left behind by `--detach` tells the one that left it. */
export interface FromDetached {
  readonly lines: readonly string[]
}

/** Holds the port of a daemon until it is ended; returns the exit code. @throws FlexiError FLEXI_CONFLICT when one runs on the directory. */
export async function runDaemon(options: RunDaemonOptions): Promise<number> {
  const place = placeOf(options.directory)
  makeFolder(place.run, 0o711)
  const other = await claimNote(place.note)
  if (other !== undefined)
    throw new FlexiError('FLEXI_CONFLICT', `a daemon runs on ${options.directory}, as process ${other.pid}`, {
      hint: `${other.url === undefined ? '' : `It is at ${other.url}. `}End it with "flexi daemon stop", or give this one a folder of its own with --data-dir.`,
    })
  const { superviseDaemon } = await import('./daemon-supervisor.ts')
  const { host, port, args, version, domain } = options
  try {
    return await superviseDaemon({
      host,
      port,
      args,
      async onReady(server) {
        const { url, socket } = server
        await writeNote(place.note, { serverPid: server.pid, url, domain, socket, version })
        tell(linesFor(server, options), server)
      },
    })
  } finally {
    await removeNote(place.note)
  }
}

function linesFor(
  { isFirst, url, pid, functions }: DaemonReady,
  options: RunDaemonOptions,
): readonly string[] {
  if (!isFirst) return [`served by process ${pid} now`]
  const { host, protocol } = new URL(url)
  return [
    `flexi ${options.version} serves ${functions === 1 ? '1 function' : `${functions} functions`} at ${protocol}//NAME.${host}`,
    `api:  ${url}/api/`,
    `data: ${options.directory}`,
    `pid:  ${process.pid} (served by ${pid})`,
  ]
}

/** The root token goes to the terminal of whoever started it, and to no log file. */
function tell(lines: readonly string[], { rootToken, isFirst }: DaemonReady): void {
  const secret = rootToken === undefined ? [] : [`root token: ${rootToken}`]
  if (process.send === undefined || !process.connected) {
    write([...lines, ...secret])
    return
  }
  write(lines)
  if (!isFirst) return
  const message: FromDetached = { lines: [...lines, ...secret] }
  process.send(message, () => process.disconnect())
}

function write(lines: readonly string[]): void {
  process.stderr.write(`${lines.join('\n')}\n`)
}
