import { setTimeout as sleep } from 'node:timers/promises'

import { FlexiError } from '../core/errors.ts'
import { isAlive } from '../core/processes.ts'
import type { AbsolutePath } from '../core/place.ts'
import { readNote, type DaemonNote } from '../daemon/note.ts'
import { placeOf } from '../daemon/place.ts'
import { dataDirectoryFlag, dataDirectoryOf, runningDaemon } from './daemon-options.ts'
import { FlexiCommand } from './flexi-command.ts'

const LOOK_EVERY_MS = 20
/** Longer than what a drain may last. */
const STOP_LIMIT_MS = 60_000
const RESTART_LIMIT_MS = 30_000

export class DaemonStop extends FlexiCommand {
  static override readonly summary = 'End the daemon of this machine; what is running is finished first.'
  static override readonly examples = [
    { description: 'The usual one', command: '<%= config.bin %> <%= command.id %>' },
    {
      description: 'One that keeps its data elsewhere',
      command: '<%= config.bin %> <%= command.id %> --data-dir ./data',
    },
  ]
  static override readonly flags = dataDirectoryFlag

  async run(): Promise<{ readonly pid: number }> {
    const { flags } = await this.parse(DaemonStop)
    const { pid } = await runningDaemon(dataDirectoryOf(flags))
    process.kill(pid, 'SIGTERM')
    await until(() => !isAlive(pid), STOP_LIMIT_MS, `process ${pid} still finishes what is running`)
    this.print([`stopped, process ${pid}`])
    return { pid }
  }
}

export class DaemonRestart extends FlexiCommand {
  static override readonly summary = 'Exchange the process that serves, without closing a connection.'
  static override readonly description =
    'For another version of flexi, or of Node. The new process answers before the old one stops to listen; the old one finishes what it has. Flags are those the daemon was started with.'
  static override readonly examples = [
    { description: 'After "npm install --global flexi"', command: '<%= config.bin %> <%= command.id %>' },
  ]
  static override readonly flags = dataDirectoryFlag

  async run(): Promise<{ readonly pid: number; readonly serverPid: number }> {
    const { flags } = await this.parse(DaemonRestart)
    const directory = dataDirectoryOf(flags)
    const before = await runningDaemon(directory)
    process.kill(before.pid, 'SIGHUP')
    const after = await successor(directory, before)
    this.print([`served by process ${after.serverPid} now, by ${before.serverPid} before`])
    return { pid: after.pid, serverPid: after.serverPid }
  }
}

export class DaemonStatus extends FlexiCommand {
  static override readonly summary = 'Tell whether a daemon runs on this machine, and where.'
  static override readonly examples = [
    {
      description: 'For people; exit code 69 when none runs',
      command: '<%= config.bin %> <%= command.id %>',
    },
    { description: 'For programs', command: '<%= config.bin %> <%= command.id %> --json' },
  ]
  static override readonly flags = dataDirectoryFlag

  async run(): Promise<DaemonNote> {
    const { flags } = await this.parse(DaemonStatus)
    const directory = dataDirectoryOf(flags)
    const note = await runningDaemon(directory)
    this.print([
      `running, process ${note.pid} (served by ${note.serverPid}), flexi ${note.version}`,
      `url:    ${note.url}`,
      `domain: ${note.domain}`,
      `data:   ${directory}`,
    ])
    return note
  }
}

export class DaemonRootToken extends FlexiCommand {
  static override readonly summary = 'Make the root token anew, on the machine of the daemon.'
  static override readonly description =
    'The old one is worth nothing from then on. Whoever may read the data directory may do this, and nobody else.'
  static override readonly examples = [
    { description: 'Print it, and log in with it', command: '<%= config.bin %> <%= command.id %>' },
  ]
  static override readonly flags = dataDirectoryFlag

  async run(): Promise<{ readonly token: string }> {
    const { flags } = await this.parse(DaemonRootToken)
    const directory = dataDirectoryOf(flags)
    const note = await readNote(placeOf(directory).note)
    const { renewRootToken } = await import('../daemon/root-token.ts')
    const token = await renewRootToken(directory, note)
    process.stderr.write('root token: ')
    this.log(token)
    return { token }
  }
}

async function successor(directory: AbsolutePath, before: DaemonNote): Promise<DaemonNote> {
  let note: DaemonNote | undefined
  const changed = async (): Promise<boolean> => {
    note = await readNote(placeOf(directory).note)
    return note !== undefined && note.serverPid !== before.serverPid
  }
  await until(changed, RESTART_LIMIT_MS, 'no new process serves; the log of the daemon says why')
  return note ?? before
}

/** @throws FlexiError FLEXI_DAEMON with this message at the limit. */
async function until(
  isDone: () => boolean | Promise<boolean>,
  limitMs: number,
  message: string,
): Promise<void> {
  const end = Date.now() + limitMs
  while (!(await isDone())) {
    if (Date.now() > end) throw new FlexiError('FLEXI_DAEMON', message)
    await sleep(LOOK_EVERY_MS)
  }
}
