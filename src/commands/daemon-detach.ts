import { spawn } from 'node:child_process'
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import type { AbsolutePath } from '../core/place.ts'
import { placeOf } from '../daemon/place.ts'
import { makeFolder, writeIn } from './daemon-options.ts'
import { DETACHED, type FromDetached } from './daemon-run.ts'

/** Starts the daemon as a process of its own, and resolves when it serves or has said why not; returns the exit code. */
export async function startDetached(directory: AbsolutePath, argv: readonly string[]): Promise<number> {
  const { logs } = placeOf(directory)
  makeFolder(directory, 0o711)
  makeFolder(logs, 0o700)
  const file = join(logs, 'daemon.log')
  const log = writeIn(logs, () => openSync(file, 'a', 0o600))
  const before = fstatSync(log).size
  const [script = ''] = process.argv.slice(1)
  const child = spawn(process.execPath, [...process.execArgv, script, 'daemon', 'start', ...argv], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    env: { ...process.env, [DETACHED]: file },
  })
  closeSync(log)
  return await new Promise((resolve) => {
    const fail = (code: number): void => {
      process.stderr.write(readFileSync(file).subarray(before))
      resolve(code)
    }
    child.once('error', (error) => {
      process.stderr.write(`${error.message}\n`)
      resolve(1)
    })
    child.once('exit', (code) => fail(code ?? 1))
    child.once('message', ({ lines }: FromDetached) => {
      process.stderr.write(`${[...lines, `log:  ${file}`].join('\n')}\n`)
      child.unref()
      resolve(0)
    })
  })
}
