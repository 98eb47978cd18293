import { once } from 'node:events'
import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import { describe, expect, onTestFinished, test } from 'vitest'

import type { AbsolutePath } from '../../src/core/place.ts'
import { startChild } from '../../src/instances/child.ts'
import { openSandbox } from '../../src/sandbox/open-sandbox.ts'
import { probeBwrap } from '../../src/sandbox/probe.ts'
import { findTools } from '../../src/sandbox/tools.ts'
import { hasBwrap, isRoot } from './machine.ts'
import { LIMITS, makeContents, node, openFunction, openPlace, run, shell } from './sandbox-scope.ts'

describe.skipIf(!hasBwrap)('a confinement (needs bubblewrap 0.8 and user namespaces)', () => {
  test('runs a program with the arguments, the variables and the folder that it was given, and no others', async () => {
    const place = await openPlace()
    const confinement = await openFunction(place)
    const { stdout, exit } = await shell(
      confinement,
      'echo "$0 $1"; env | sort | tr "\\n" ,; pwd; id -u; id -g; hostname',
      {
        environment: { PATH: '/usr/bin:/bin', GREETING: 'a "b" $c' },
      },
    )
    expect(stdout).toBe(
      `/bin/sh \nGREETING=a "b" $c,PATH=/usr/bin:/bin,PWD=${place.contents},${place.contents}\n1000\n1000\nhello-v1`,
    )
    expect(exit.code).toBe(0)
  })

  test('passes on the frame channel, and answers through it', async () => {
    const confinement = await openFunction(await openPlace())
    const frames: number[] = []
    const child = startChild({
      command: process.execPath,
      args: ['-e', 'process.stdout.write(require("fs").fstatSync(3).isSocket() + "\\n")'],
      environment: {},
      confinement,
      onFrame: () => frames.push(1),
      onLine: (_stream, line) => frames.push(line === 'true' ? 3 : -1),
    })
    expect((await child.exited).code).toBe(0)
    expect(frames).toEqual([3])
  })

  test('tells how the program ended', async () => {
    const confinement = await openFunction(await openPlace())
    expect((await shell(confinement, 'exit 7')).exit.code).toBe(7)
    expect((await shell(confinement, 'kill -SEGV $$')).exit).toMatchObject({ signal: 'SIGSEGV' })
  })

  test('shows contents and what is readable under their own paths, to be read only', async () => {
    const place = await openPlace()
    await writeFile(join(place.contents, 'a.txt'), 'contents')
    const runtime = await makeContents(place.root, 'runtime')
    await writeFile(join(runtime, 'b.txt'), 'runtime')
    const confinement = await openFunction(place)
    const { stdout } = await shell(
      confinement,
      `cat ${place.contents}/a.txt ${runtime}/b.txt; touch ${place.contents}/x ${runtime}/x || echo " refused"`,
      { readable: [runtime, '/no/such/folder'] },
    )
    expect(stdout).toBe('contentsruntime refused')
    expect(await readdir(place.contents)).toEqual(['a.txt'])
  })

  test('shows contents where YFASS has them as well', async () => {
    const place = await openPlace()
    await writeFile(join(place.contents, 'server'), '#!/bin/sh\necho served\n', { mode: 0o755 })
    const { stdout } = await run(await openFunction(place), '/.__private_yfass_contents/server', [])
    expect(stdout).toBe('served')
  })

  test('keeps state, and what is writable, for the next process', async () => {
    const place = await openPlace()
    const state = join(place.root, 'state') as AbsolutePath
    const data = join(place.root, 'data')
    const confinement = await openFunction(place, { state })
    await shell(confinement, `echo 1 > ${state}/one; echo 2 > ${data}/two`, { writable: [data] })
    const { stdout } = await shell(confinement, `cat ${state}/one ${data}/two`, { writable: [data] })
    expect(stdout).toBe('1\n2')
  })

  test('takes over state that another user wrote, links left as they are', async () => {
    const place = await openPlace()
    const state = join(place.root, 'state') as AbsolutePath
    await mkdir(join(state, 'deep'), { recursive: true })
    await writeFile(join(state, 'deep', 'old'), 'old', { mode: 0o600 })
    const outside = join(place.root, 'outside')
    await writeFile(outside, '', { mode: 0o600 })
    await symlink(outside, join(state, 'link'))
    const before = (await stat(outside)).uid
    const confinement = await openFunction(place, { state })
    expect((await shell(confinement, `cat ${state}/deep/old`)).stdout).toBe('old')
    expect((await stat(outside)).uid).toBe(before)
  })

  test('is reached by a Unix socket in its run folder, without any network', async () => {
    const place = await openPlace()
    const confinement = await openFunction(place)
    expect(confinement.sharesLoopback).toBe(false)
    const path = join(confinement.runDirectory, 'a-name-of-40-characters-for-a-socket.sock')
    const ready = deferred()
    const child = startChild({
      command: process.execPath,
      args: [
        '-e',
        `require('net').createServer(s => s.end('hello')).listen(${JSON.stringify(path)}, () => console.log('ready'))`,
      ],
      environment: {},
      confinement,
      onLine: () => ready.resolve(),
    })
    await ready.promise
    expect(await text(connect(path))).toBe('hello')
    child.kill()
    await child.exited
  })

  test('binds what a configuration asks for, elsewhere too, and leaves out what is not there', async () => {
    const place = await openPlace()
    const confinement = await openFunction(place, {
      readOnly: { '/etc/debian_version': '/data/version', '/etc/hostname': null, '/no/such': null },
    })
    const { stdout, exit } = await shell(confinement, 'ls /data /etc/hostname')
    expect(stdout).toBe('/etc/hostname\n\n/data:\nversion')
    expect(exit.code).toBe(0)
  })

  test.each([
    ['proc', 'test -e /proc/self'],
    ['dev', 'test -e /dev/null'],
    ['tmp', 'test -d /tmp/.'],
  ] as const)('has %s unless it is switched off', async (name, question) => {
    const place = await openPlace()
    const on = await openFunction(place)
    expect((await shell(on, question)).exit.code).toBe(0)
    // What is below /tmp is there all the same when contents are.
    const off = await openFunction(place, { mounts: { [name]: false } })
    const answer = await shell(off, name === 'tmp' ? 'touch /tmp/x' : question)
    expect(answer.exit.code).not.toBe(0)
  })

  test('resolves names by files, and says who it is', async () => {
    const confinement = await openFunction(await openPlace())
    const { stdout } = await node(
      confinement,
      'require("dns").lookup("localhost", (e, a) => console.log(a, require("os").userInfo().username))',
    )
    expect(stdout).toMatch(/^(127\.0\.0\.1|::1) function$/)
  })

  test('ends everything when the process is killed, and when it is closed itself', async () => {
    const place = await openPlace()
    const confinement = await openFunction(place)
    for (const end of ['kill', 'close'] as const) {
      const begun = deferred()
      const child = startChild({
        command: '/bin/sh',
        args: ['-c', 'setsid sleep 3607 & setsid sleep 3607 & echo begun; wait'],
        environment: { PATH: '/usr/bin:/bin' },
        confinement,
        onLine: () => begun.resolve(),
      })
      await begun.promise
      await expect.poll(() => processes('sleep 3607')).toHaveLength(2)
      if (end === 'kill') child.kill()
      else await confinement[Symbol.asyncDispose]()
      await child.exited
      await expect.poll(() => processes('sleep 3607')).toEqual([])
    }
    expect(existsSync(confinement.runDirectory)).toBe(false)
  })

  test('leaves neither folders, mounts, control groups nor stages behind', async () => {
    const place = await openPlace()
    const confinement = await openFunction(place)
    await shell(confinement, 'true')
    await place.sandbox[Symbol.asyncDispose]()
    expect(await readdir(join(place.root, 's'))).toEqual([])
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(place.root)
    expect(groupsOf(process.pid)).toEqual([])
    const stages = (await readdir(tmpdir())).filter((name) =>
      name.startsWith(`flexi-stage-${process.pid.toString(36)}.`),
    )
    expect(stages).toEqual([])
  })

  test('cleans up after a daemon that was killed, and leaves one that lives alone', async () => {
    const place = await openPlace()
    const alive = await openFunction(place)
    const directory = join(place.root, 's') as AbsolutePath
    // A process id and a beginning that nobody has.
    const left = join(directory, 'zik0zj.1.1', '1')
    await mkdir(left, { recursive: true })
    await using other = await openSandbox({ kind: 'bwrap', directory })
    expect(other.capabilities.isolation).toBeDefined()
    expect(existsSync(left)).toBe(false)
    expect(existsSync(alive.runDirectory)).toBe(true)
    expect((await shell(alive, 'echo lives')).stdout).toBe('lives')
  })

  test('shows nothing of the variables in a list of processes', async () => {
    const place = await openPlace()
    const confinement = await openFunction(place)
    const begun = deferred()
    const child = startChild({
      command: '/bin/sh',
      args: ['-c', 'echo begun; sleep 3611'],
      environment: { PATH: '/usr/bin:/bin', SECRET: 'hush-4711' },
      confinement,
      onLine: () => begun.resolve(),
    })
    await begun.promise
    const commandLine = await readFile(`/proc/${child.pid}/cmdline`, 'utf8')
    expect(commandLine).toContain('bwrap')
    expect(commandLine).not.toContain('hush-4711')
    expect(await readFile(`/proc/${child.pid}/environ`, 'utf8')).not.toContain('hush-4711')
    child.kill()
    await child.exited
  })

  test('says that it could not begin rather than to run without', async () => {
    const place = await openPlace()
    const confinement = await openFunction(place)
    // The folder to begin in is not there: bwrap ends.
    const { exit, stderr } = await shell(confinement, 'echo ran', { cwd: '/no/such/folder' })
    expect(exit.code).not.toBe(0)
    expect(stderr).toContain("Can't chdir to /no/such/folder")
  })

  test('starts 20 functions beside each other', async () => {
    const place = await openPlace()
    const all = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const confinement = await openFunction(place, { name: `f${index}@v1`, number: 100 + index })
        return (await shell(confinement, 'hostname')).stdout
      }),
    )
    expect(all).toEqual(Array.from({ length: 20 }, (_, index) => `f${index}-v1`))
  })
})

describe.skipIf(!hasBwrap || !isRoot)('started as root (needs bubblewrap and root)', () => {
  test('gives each function a user of its own, the same for all of its versions', async () => {
    const place = await openPlace()
    const [one, two, other] = [
      await openFunction(place, { state: join(place.root, 'a') as AbsolutePath }),
      await openFunction(place, { name: 'hello@v2', state: join(place.root, 'b') as AbsolutePath }),
      await openFunction(place, { name: 'else@v1', number: 8, state: join(place.root, 'c') as AbsolutePath }),
    ]
    for (const each of [one, two, other]) await shell(each, 'true')
    const owners = await Promise.all(
      ['a', 'b', 'c'].map(async (name) => (await stat(join(place.root, name))).uid),
    )
    expect(owners).toEqual([1_900_000_007, 1_900_000_007, 1_900_000_008])
  })

  test('follows no link that a function made in its run folder', async () => {
    const confinement = await openFunction(await openPlace())
    await shell(confinement, `ln -s /etc/passwd ${confinement.runDirectory}/link`)
    await expect(readFile(join(confinement.runDirectory, 'link'))).rejects.toMatchObject({ code: 'ELOOP' })
  })

  test('gives functions what lies below folders that their users cannot pass', async () => {
    const place = await openPlace()
    expect((await stat(place.root)).mode & 0o777).toBe(0o700)
    await writeFile(join(place.contents, 'a.txt'), 'reached')
    const confinement = await openFunction(place)
    expect((await shell(confinement, 'cat a.txt')).stdout).toBe('reached')
  })

  test('does the same for the run folder: the daemon may have its data in a home', async () => {
    const place = await openPlace()
    await chmod(join(place.root, 's'), 0o700)
    const confinement = await openFunction(place)
    expect((await shell(confinement, `touch ${confinement.runDirectory}/x && echo written`)).stdout).toBe(
      'written',
    )
  })

  test('does it for nothing that a configuration asks for', async () => {
    const place = await openPlace()
    const secret = await makeContents(place.root, 'private')
    await writeFile(join(secret, 'a.txt'), 'secret')
    const confinement = await openFunction(place, { readOnly: { [secret]: null } })
    const { stdout, exit } = await shell(confinement, `cat ${secret}/a.txt`)
    expect(stdout).toBe('')
    expect(exit.code).not.toBe(0)
  })

  test('refuses contents that functions could not read, with a sentence', async () => {
    const place = await openPlace()
    await chmod(place.contents, 0o700)
    await expect(openFunction(place)).rejects.toThrow(
      `${place.contents} cannot be read by functions: its mode is 700`,
    )
  })

  test('hands no descriptor on that the daemon inherited', async () => {
    const folder = openSync('/etc', 'r')
    onTestFinished(() => closeSync(folder))
    const place = await openPlace()
    const confinement = await openFunction(place)
    const { stdout } = await shell(confinement, 'ls -l /proc/self/fd | grep -v "/proc/" | grep -c " -> /etc"')
    expect(stdout).toBe('0')
  })
})

describe('fails closed', () => {
  test.skipIf(process.platform !== 'linux').each([
    ['bwrap', undefined, /^bubblewrap is not installed: install it .*--sandbox none$/],
    ['setpriv', undefined, /^not installed: setpriv \(install util-linux/],
    ['mount', 1_900_000_000, /^not installed: mount \(install util-linux/],
    ['unshare', 1_900_000_000, /^not installed: unshare \(install util-linux/],
  ] as const)('without %s, and says so at the start', async (name, uid, reason) => {
    const tools = { ...(await findTools()), bwrap: '/bin/false', [name]: undefined }
    expect(await probeBwrap(tools, uid)).toEqual({ name: undefined, notes: [expect.stringMatching(reason)] })
  })

  test.skipIf(!hasBwrap)('refuses a policy with a call that nobody knows (needs bubblewrap)', async () => {
    const place = await openPlace()
    const systemCalls = { mode: 'deny', names: ['forck'] } as const
    const policy = {
      name: 'a@v1',
      number: 1,
      contents: place.contents,
      network: 'none',
      limits: LIMITS,
    } as const
    expect(place.sandbox.check({ ...policy, systemCalls })).toEqual([
      '"forck" is no system call, and no group of them (@fork, @network)',
    ])
    await expect(place.sandbox.open({ ...policy, systemCalls })).rejects.toMatchObject({
      code: 'FLEXI_SANDBOX',
    })
    expect(place.sandbox.check(policy)).toEqual([])
  })

  test.skipIf(!hasBwrap).each([
    ['/', 'that is the whole machine'],
    ['/proc/1', '/proc/1 belongs to the kernel'],
    // bwrap's own would be the whole machine.
    ['/proc/self/cwd', '/proc/self/cwd belongs to the kernel'],
    ['/usr/../proc/thread-self/cwd', '/proc/thread-self/cwd belongs to the kernel'],
    ['//dev/fd/0', '/dev/fd/0 belongs to the kernel'],
    ['/run', 'services of the machine listen there'],
    ['/run/dbus/system_bus_socket', 'services of the machine listen there'],
    ['etc', 'a path begins with "/"'],
  ])('refuses to bind %s (needs bubblewrap)', async (source, reason) => {
    const { sandbox, contents } = await openPlace()
    const policy = { name: 'a@v1', number: 1, contents, network: 'none', limits: LIMITS } as const
    expect(sandbox.check({ ...policy, readOnly: { [source]: null } })).toEqual([
      `read-only entry ${source}: ${reason}`,
    ])
  })

  test.skipIf(!hasBwrap)(
    "refuses to bind the daemon's data, what is above it, and links to it (needs bubblewrap)",
    async () => {
      const { sandbox, contents, root } = await openPlace({ hidden: true })
      const policy = { name: 'a@v1', number: 1, contents, network: 'none', limits: LIMITS } as const
      const link = join(await makeContents(root, 'links'), 'link')
      await symlink(root, link)
      for (const source of [root, join(root, 'contents'), join(root, '..'), link]) {
        expect(sandbox.check({ ...policy, readOnly: { [source]: null } })).toEqual([
          `read-only entry ${source}: the daemon's data is there`,
        ])
      }
    },
  )

  test.skipIf(!hasBwrap)('judges what is to be bound again with each start (needs bubblewrap)', async () => {
    const place = await openPlace({ hidden: true })
    const elsewhere = await mkdtemp(join(tmpdir(), 'flexi-else-'))
    onTestFinished(() => rm(elsewhere, { recursive: true }))
    const entry = join(elsewhere, 'entry')
    const confinement = await openFunction(place, { readOnly: { [entry]: null } })
    await symlink(place.root, entry)
    await expect(shell(confinement, 'true')).rejects.toThrow("the daemon's data is there")
  })

  test.skipIf(!hasBwrap)(
    'refuses to bind a socket: no mode of a mount closes it (needs bubblewrap)',
    async () => {
      const { sandbox, contents, root } = await openPlace()
      const path = join(root, 'service.sock')
      const server = createServer().listen(path)
      onTestFinished(() => void server.close())
      await once(server, 'listening')
      const policy = { name: 'a@v1', number: 1, contents, network: 'none', limits: LIMITS } as const
      expect(sandbox.check({ ...policy, readOnly: { [path]: null } })).toEqual([
        `read-only entry ${path}: services of the machine listen there`,
      ])
    },
  )

  test.skipIf(!hasBwrap)('binds what it has judged: a link is followed once (needs bubblewrap)', async () => {
    const place = await openPlace()
    const elsewhere = await mkdtemp(join(tmpdir(), 'flexi-else-'))
    onTestFinished(() => rm(elsewhere, { recursive: true }))
    await symlink('/proc/self/cwd', join(elsewhere, 'entry'))
    const confinement = await openFunction(place, { readOnly: { [join(elsewhere, 'entry')]: '/data' } })
    expect((await shell(confinement, 'ls /data/proc')).stdout).toBe('')
  })

  test.skipIf(!hasBwrap)('refuses targets that are the sandbox’s own (needs bubblewrap)', async () => {
    const { sandbox, contents } = await openPlace()
    const policy = { name: 'a@v1', number: 1, contents, network: 'none', limits: LIMITS } as const
    const faults = sandbox.check({ ...policy, readOnly: { '/etc/hostname': '/proc/1/environ' } })
    expect(faults).toEqual(["read-only entry /etc/hostname: /proc/1/environ is the sandbox's own"])
  })
})

test('runs functions unprotected where the operator says so, and says it', async () => {
  const place = await openPlaceWithout()
  const { sandbox } = place
  expect(sandbox.capabilities).toMatchObject({ isolation: undefined, limits: 'none', systemCalls: false })
  expect(sandbox.capabilities.notes).toEqual([
    'functions run unprotected, with all that the daemon may do: it was started with --sandbox none',
  ])
  const confinement = await sandbox.open({
    name: 'a@v1',
    number: 1,
    contents: place.contents,
    network: 'none',
    limits: LIMITS,
  })
  expect(confinement.sharesLoopback).toBe(true)
  const { stdout } = await run(confinement, '/bin/sh', ['-c', 'pwd; id -u'], { cwd: place.contents })
  expect(stdout).toBe(`${place.contents}\n${process.getuid?.()}`)
})

async function openPlaceWithout(): Promise<{
  sandbox: Awaited<ReturnType<typeof openSandbox>>
  contents: AbsolutePath
}> {
  const place = await openPlace()
  const sandbox = await openSandbox({ kind: 'none', directory: join(place.root, 'n') as AbsolutePath })
  onTestFinished(() => sandbox[Symbol.asyncDispose]())
  return { sandbox, contents: place.contents }
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

/** Process ids by their command line. */
function processes(commandLine: string): string[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n')
  return lines.filter((line) => line.trim().replace(/^\d+ /, '') === commandLine)
}

function groupsOf(pid: number): string[] {
  return execFileSync('find', ['/sys/fs/cgroup', '-name', `flexi.${pid.toString(36)}.*`], {
    encoding: 'utf8',
  })
    .split('\n')
    .filter(Boolean)
}
