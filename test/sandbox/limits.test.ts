import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { describe, expect, onTestFinished, test } from 'vitest'

import type { AbsolutePath } from '../../src/core/place.ts'
import { bytesIn } from '../../src/sandbox/limits/disk-watch.ts'
import { belowMount, membershipPath, parseMount } from '../../src/sandbox/limits/group-files.ts'
import { openSandbox } from '../../src/sandbox/open-sandbox.ts'
import { hasBwrap } from './machine.ts'
import { LIMITS, node, openFunction, openPlace, shell, type Place } from './sandbox-scope.ts'

const MEMBERSHIP =
  '4:memory:/system.slice/flexi.service\n3:cpu,cpuacct:/a:b\n1:name=systemd:/x\n0::/user.slice\n'

test.each([
  ['memory', '/system.slice/flexi.service'],
  ['cpu', '/a:b'],
  ['cpuacct', '/a:b'],
  ['pids', undefined],
  ['', '/user.slice'],
])('finds the control group of %j', (controller, path) => {
  expect(membershipPath(MEMBERSHIP, controller)).toBe(path)
})

test('reads where control groups are shown, with or without optional fields', () => {
  expect(parseMount('33 25 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory')).toEqual({
    type: 'cgroup',
    options: ['rw', 'memory'],
    root: '/',
    point: '/sys/fs/cgroup/memory',
  })
  expect(
    parseMount('30 23 0:26 /docker/abc /sys/fs/cgroup ro shared:9 - cgroup2 cgroup rw,nsdelegate'),
  ).toMatchObject({
    type: 'cgroup2',
    root: '/docker/abc',
    point: '/sys/fs/cgroup',
  })
})

test.each([
  ['/a/b', '/', '/a/b'],
  ['/docker/abc/x', '/docker/abc', '/x'],
  ['/', '/docker/abc', '/'],
])('finds %s below a mount that shows %s', (path, root, below) => {
  expect(belowMount(path, root)).toBe(below)
})

test('counts what is on disk, folders in folders and no links', async () => {
  const root = await mkdtemp(join(tmpdir(), 'flexi-disk-'))
  onTestFinished(() => rm(root, { recursive: true }))
  await mkdir(join(root, 'deep'))
  await writeFile(join(root, 'deep', 'a'), Buffer.alloc(256 * 1024))
  await symlink('/usr', join(root, 'link'))
  const bytes = await bytesIn([root, '/no/such/folder'], Infinity)
  expect(bytes).toBeGreaterThanOrEqual(256 * 1024)
  expect(bytes).toBeLessThan(300 * 1024)
})

test.skipIf(!hasBwrap)('a function that fills the disk is ended (needs bubblewrap)', async () => {
  const place = await openPlace()
  const state = join(place.root, 'state') as AbsolutePath
  const confinement = await openFunction(place, { state, limits: { ...LIMITS, stateMb: 4 } })
  const { exit } = await shell(
    confinement,
    `i=0; while [ $i -lt 20 ]; do i=$((i+1)); head -c 1000000 /dev/zero > ${state}/$i; done; sleep 60`,
  )
  expect(exit).toMatchObject({ signal: 'SIGKILL', reached: 'disk' })
  // One that keeps within stays.
  const other = await openFunction(place, { limits: { ...LIMITS, stateMb: 4 } })
  expect((await shell(other, 'sleep 2.5; echo well')).stdout).toBe('well')
})

test('a path that no call takes is too much: what is below it could not be counted', async () => {
  const root = await mkdtemp(join(tmpdir(), 'flexi-disk-'))
  onTestFinished(() => void execFileSync('rm', ['-rf', root]))
  const deep = "require('fs').mkdirSync(process.argv[1]); process.chdir(process.argv[1])"
  const script = `for (let i = 0; i < 20; i++) { ${deep} }`
  execFileSync(process.execPath, ['-e', script, 'd'.repeat(250)], { cwd: root })
  expect(await bytesIn([root], Infinity)).toBe(Infinity)
})

test.skipIf(!hasBwrap).each([
  [
    'with files that it has removed and holds open',
    'f = open(p, "wb"); os.unlink(p); f.write(b"x" * 9_000_000); f.flush()',
  ],
  [
    'with a file that it has removed and maps',
    'f = open(p, "w+b"); f.truncate(9_000_000); m = mmap.mmap(f.fileno(), 0); f.close(); os.unlink(p); m.write(b"x" * 9_000_000); m.flush()',
  ],
])('a function that fills the disk %s is ended (needs bubblewrap)', async (_, code) => {
  const place = await openPlace()
  const state = join(place.root, 'state') as AbsolutePath
  const confinement = await openFunction(place, { state, limits: { ...LIMITS, stateMb: 4 } })
  const script = `import mmap, os, time\np = "${state}/f"\ntime.sleep(2.5)\n${code}\ntime.sleep(60)`
  const { exit } = await shell(confinement, `python3 -c '${script}'`)
  expect(exit).toMatchObject({ signal: 'SIGKILL', reached: 'disk' })
})

describe.skipIf(!hasBwrap)('without control groups (needs bubblewrap)', () => {
  async function openWithout(): Promise<Place> {
    const place = await openPlace()
    const sandbox = await openSandbox({
      kind: 'bwrap',
      directory: join(place.root, 'w') as AbsolutePath,
      limits: 'rlimit',
    })
    onTestFinished(() => sandbox[Symbol.asyncDispose]())
    return { ...place, sandbox }
  }

  test('says what is not enforced', async () => {
    const { sandbox } = await openWithout()
    expect(sandbox.capabilities.limits).toBe('rlimit')
    expect(sandbox.capabilities.notes.join()).toContain('processors are not limited')
  })

  test('counts the processes of each instance by itself', async () => {
    const place = await openWithout()
    const confinement = await openFunction(place, { limits: { ...LIMITS, processes: 8 } })
    const script = 'i=0; while [ $i -lt 12 ]; do sleep 0.4 & i=$((i+1)); echo $i; done'
    // Both have the same user: neither takes of the other's.
    const all = await Promise.all([1, 2].map(() => shell(confinement, script)))
    for (const { stdout, stderr } of all) {
      expect(stderr).toContain('Cannot fork')
      expect(stdout.split('\n').length).toBeGreaterThan(3)
    }
    const alone = await shell(confinement, 'sleep 0.1 & sleep 0.1 & sleep 0.1 & wait; echo fits')
    expect(alone.stdout).toBe('fits')
  })

  test('ends what outgrows its memory', async () => {
    const place = await openWithout()
    const confinement = await openFunction(place, { limits: { ...LIMITS, memoryMb: 96 } })
    const { exit } = await node(
      confinement,
      'const all = []; setInterval(() => all.push(Buffer.alloc(8 << 20, 1)), 10)',
    )
    expect(exit.signal).toBe('SIGKILL')
  })
})
