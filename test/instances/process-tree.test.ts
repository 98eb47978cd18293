import { spawn, spawnSync } from 'node:child_process'

import { expect, test } from 'vitest'

import { programBehind } from '../../src/instances/process-tree.ts'

const NAMESPACE = ['--user', '--map-root-user', '--pid', '--fork', '--kill-child']
const canIsolate = spawnSync('unshare', [...NAMESPACE, 'true']).status === 0

test.skipIf(!canIsolate)('what starts a program is not taken for it, however early it is asked', async () => {
  const child = spawn('unshare', [...NAMESPACE, 'sh', '-c', 'read line; sleep 60; true'])
  const launcher = child.pid ?? 0
  const ended = new Promise((resolve) => child.once('close', resolve))
  try {
    await expect.poll(() => programBehind(launcher).pid).not.toBe(launcher)
    const early = programBehind(launcher)
    expect(early.isFinal).toBe(false)
    child.stdin.write('go\n')
    await expect.poll(() => programBehind(launcher).isFinal).toBe(true)
    expect(programBehind(launcher).pid).not.toBe(early.pid)
  } finally {
    child.kill('SIGKILL')
    await ended
  }
})
