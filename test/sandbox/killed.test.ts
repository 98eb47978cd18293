import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import type { AbsolutePath } from '../../src/core/place.ts'
import { openSandbox } from '../../src/sandbox/open-sandbox.ts'
import { hasBwrap } from './machine.ts'
import { openPlace } from './sandbox-scope.ts'

const DAEMON = join(import.meta.dirname, '..', 'fixtures', 'sandbox', 'daemon.js')

function sleeping(): boolean {
  return execFileSync('ps', ['-eo', 'args='], { encoding: 'utf8' }).split('\n').includes('sleep 3613')
}

test.skipIf(!hasBwrap)(
  'a daemon that is killed takes its functions with it, and the next one cleans up (needs bubblewrap)',
  async () => {
    const place = await openPlace()
    const directory = join(place.root, 'd') as AbsolutePath
    const daemon = spawn(process.execPath, [DAEMON, directory, place.contents], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(daemon.stdout, 'data')
    await expect.poll(sleeping).toBe(true)
    daemon.kill('SIGKILL')
    await expect.poll(sleeping).toBe(false)
    expect(await readdir(directory)).toHaveLength(1)
    const id = (await readdir(directory))[0] ?? ''
    const sandbox = await openSandbox({ kind: 'bwrap', directory })
    await sandbox[Symbol.asyncDispose]()
    expect(await readdir(directory)).toEqual([])
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(directory)
    const groups = execFileSync('find', ['/sys/fs/cgroup', '-name', `flexi.${id}`], { encoding: 'utf8' })
    expect(groups).toBe('')
    expect((await readdir(tmpdir())).filter((name) => name.startsWith(`flexi-stage-${id}`))).toEqual([])
  },
)
