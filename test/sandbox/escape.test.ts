import { execFileSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { chmod, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'

import koffi from 'koffi'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'

import type { AbsolutePath } from '../../src/core/place.ts'
import { openSandbox } from '../../src/sandbox/open-sandbox.ts'
import { hasBwrap, hasCompiler, hasControlGroups, isRoot } from './machine.ts'
import {
  LIMITS,
  makeContents,
  node,
  openFunction,
  openPlace,
  run,
  shell,
  type Place,
} from './sandbox-scope.ts'

const SOURCE = join(import.meta.dirname, '..', 'fixtures', 'sandbox', 'tries.c')

/** A neighbour that goes on as if nothing were. */
async function neighbour(place: Place): Promise<void> {
  const contents = await makeContents(place.root, `neighbour-${Math.random().toString(36).slice(2)}`)
  await writeFile(join(contents, 'a.txt'), 'well')
  const confinement = await openFunction(place, { name: 'neighbour@v1', number: 9, contents })
  const { stdout, exit } = await shell(confinement, 'cat a.txt; echo; /bin/echo and starts programs')
  expect([stdout, exit.code]).toEqual(['well\nand starts programs', 0])
}

async function tried(policy: Parameters<typeof openFunction>[1], ...what: string[]): Promise<string[]> {
  const place = await openPlace()
  execFileSync('cc', ['-o', join(place.contents, 'tries'), SOURCE])
  await chmod(join(place.contents, 'tries'), 0o755)
  const { stdout, stderr, exit } = await run(await openFunction(place, policy), './tries', what)
  expect(stderr).toBe('')
  const end = exit.code === 0 ? [] : [String(exit.signal ?? exit.code)]
  return [...stdout.split('\n').filter(Boolean), ...end]
}

describe.skipIf(!hasBwrap || !hasCompiler)('system calls (needs bubblewrap and a C compiler)', () => {
  test('that lead out of a sandbox fail, and those of every program do not', async () => {
    const words = `ptrace mount umount remount pivot chroot unshare setns newuser bpf perf io_uring keyctl
      userfaultfd kexec module reboot settime sethostname swapon vm_readv handle personality tiocsti raw mknod
      setuid`.split(/\s+/)
    const refused = await tried({}, ...words)
    const expected = words.map((word) => `${word} ${word === 'setuid' ? 'EINVAL' : 'EPERM'}`)
    expect(refused).toEqual(expected)
    expect(await tried({}, 'clone3', 'packet', 'vsock', 'alg', 'fork', 'getcwd')).toEqual([
      'clone3 ENOSYS',
      'packet EAFNOSUPPORT',
      'vsock EAFNOSUPPORT',
      'alg EAFNOSUPPORT',
      'fork ok',
      'getcwd ok',
    ])
  })

  test('that a function denies itself fail: fork too, which is clone', async () => {
    const systemCalls = { mode: 'deny', names: ['fork', 'getcwd'] } as const
    expect(await tried({ systemCalls }, 'fork', 'getcwd')).toEqual(['fork EPERM', 'getcwd EPERM'])
  })

  test('that are not in a list of those allowed fail', async () => {
    const systemCalls = { mode: 'allow', names: ['@basic', '@files'] } as const
    expect(await tried({ systemCalls }, 'fork', 'getcwd', 'raw')).toEqual([
      'fork ok',
      'getcwd ok',
      'raw EPERM',
    ])
  })

  test.runIf(process.arch === 'x64')('of other architectures end the process', async () => {
    expect(await tried({}, 'getcwd', 'x32')).toEqual(['getcwd ok', 'SIGSYS'])
    expect(await tried({}, 'getcwd', 'int80')).toEqual(['getcwd ok', 'SIGSYS'])
  })
})

describe.skipIf(!hasBwrap)('a function (needs bubblewrap)', () => {
  test('runs Node under a list of allowed calls', async () => {
    const systemCalls = { mode: 'allow', names: ['@basic', '@files', '@network'] } as const
    const confinement = await openFunction(await openPlace(), { systemCalls })
    const { stdout, stderr } = await node(
      confinement,
      'fetch("data:text/plain,hello").then(r => r.text()).then(console.log)',
    )
    expect([stdout, stderr]).toEqual(['hello', ''])
  })

  test('keeps its threads where it denies itself processes', async () => {
    const systemCalls = { mode: 'deny', names: ['fork'] } as const
    const confinement = await openFunction(await openPlace(), { systemCalls })
    const { stdout } = await node(
      confinement,
      `const { Worker } = require('worker_threads')
       new Worker('console.log("thread")', { eval: true }).on('exit', () => {
         try { require('child_process').execFileSync('/bin/true') } catch (e) { console.log(e.code) }
       })`,
    )
    expect(stdout).toBe('thread\nEPERM')
  })

  test('has no capability and no way to get any', async () => {
    const confinement = await openFunction(await openPlace())
    const { stdout } = await shell(confinement, 'grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status')
    const values = stdout.split('\n').map((line) => line.replace(/\s+/g, ' '))
    expect(values).toEqual([
      ...['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => `${name}: 0000000000000000`),
      'NoNewPrivs: 1',
      'Seccomp: 2',
    ])
  })

  test('sees neither accounts, nor the daemon’s data, nor other functions', async () => {
    const place = await openPlace()
    await writeFile(join(place.root, 'flexi.db'), 'secret')
    const other = await makeContents(place.root, 'other')
    await writeFile(join(other, 'a.txt'), 'other')
    const theirs = await openFunction(place, { name: 'other@v1', number: 8, contents: other })
    await writeFile(join(theirs.runDirectory, 'note'), 'theirs')
    const confinement = await openFunction(place)
    const { stdout, stderr } = await shell(
      confinement,
      `cat /etc/shadow ${place.root}/flexi.db ${other}/a.txt ${theirs.runDirectory}/note; ls ${place.root} ${place.root}/s/*; ls /root /home /var /run /sys /boot /mnt`,
    )
    expect(stdout).not.toContain('secret')
    expect(stdout).not.toContain('other')
    expect(stdout).not.toContain('theirs')
    expect(stderr.match(/No such file or directory/g)?.length).toBeGreaterThanOrEqual(11)
  })

  test('sees no process but its own, and can signal no other', async () => {
    const place = await openPlace()
    const confinement = await openFunction(place)
    const { stdout } = await shell(
      confinement,
      `ls /proc | grep -c "^[0-9]"; kill -9 ${process.pid} 2>&1; kill -9 ${process.ppid} 2>&1; echo survived`,
    )
    const [count, ...said] = stdout.split('\n')
    expect(Number(count)).toBeLessThan(8)
    expect(said.filter(Boolean)).toEqual([
      expect.stringContaining('No such process'),
      expect.stringContaining('No such process'),
      'survived',
    ])
    await shell(confinement, 'kill -9 -1')
    await neighbour(place)
  })

  test('cannot change the kernel’s settings, nor read its memory', async () => {
    const confinement = await openFunction(await openPlace())
    const { stdout } = await shell(
      confinement,
      'for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/self/oom_score_adj /proc/kcore; do (echo -1000 > $f) 2>/dev/null && echo "wrote $f"; done; head -c 1 /proc/kcore 2>/dev/null; ls /sys/fs/cgroup 2>/dev/null; echo end',
    )
    expect(stdout).toBe('end')
  })

  test('ends before the daemon where the machine runs out of memory', async () => {
    const confinement = await openFunction(await openPlace())
    expect((await shell(confinement, 'cat /proc/self/oom_score_adj')).stdout).toBe('500')
  })

  test('makes no user namespaces', async () => {
    const confinement = await openFunction(await openPlace())
    const { exit, stderr } = await shell(confinement, 'unshare --user true')
    expect(exit.code).not.toBe(0)
    expect(stderr).toMatch(/Operation not permitted|No space left/)
  })

  test('has a session of its own, and no terminal to type into', async () => {
    const confinement = await openFunction(await openPlace())
    const { stdout } = await shell(
      confinement,
      'cut -d" " -f6 /proc/self/stat; (echo x > /dev/tty) 2>/dev/null || echo none',
    )
    const [session, terminal] = stdout.split('\n')
    // The leader of its session is inside: a session from outside shows as 0.
    expect(Number(session)).toBeGreaterThan(0)
    expect(terminal).toBe('none')
  })

  test('fills no memory file system beyond its bound, and nothing of the machine’s', async () => {
    const place = await openPlace()
    const confinement = await openFunction(place)
    const { stdout } = await node(
      confinement,
      `const fs = require('fs')
       const megabyte = Buffer.alloc(1 << 20)
       for (const folder of ['/', '/dev', '/dev/shm', '/tmp', '/etc', '/usr', ${JSON.stringify(place.contents)}, ${JSON.stringify(confinement.runDirectory)}]) {
         let written = 0, code
         try {
           const fd = fs.openSync(folder + '/fill', 'w')
           while (written < 64) written += fs.writeSync(fd, megabyte) / megabyte.length
         } catch (error) { code = error.code }
         console.log(folder.replace(${JSON.stringify(place.root)}, ''), Math.ceil(written), code)
       }`,
      {},
    )
    const run_ = confinement.runDirectory.replace(place.root, '')
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^\/ 0 (EROFS|EACCES)$/),
      expect.stringMatching(/^\/dev 0 (EROFS|EACCES)$/),
      '/dev/shm 8 ENOSPC',
      '/tmp 8 ENOSPC',
      expect.stringMatching(/^\/etc 0 (EROFS|EACCES)$/),
      expect.stringMatching(/^\/usr 0 (EROFS|EACCES)$/),
      expect.stringMatching(/^\/contents 0 (EROFS|EACCES)$/),
      isRoot ? `${run_} 8 ENOSPC` : expect.stringContaining(run_),
    ])
    await neighbour(place)
  })

  test('opens no more files than it may, and cannot raise the number', async () => {
    const confinement = await openFunction(await openPlace(), { limits: { ...LIMITS, files: 64 } })
    const { stdout } = await shell(
      confinement,
      'ulimit -n; ulimit -Hn; ulimit -n 128 2>/dev/null || echo refused; ulimit -c',
    )
    expect(stdout).toBe('64\n64\nrefused\n0')
  })

  test.skipIf(!isRoot)(
    'is not root for files either: one that only root may read stays shut (needs root)',
    async () => {
      const place = await openPlace()
      await writeFile(join(place.contents, 'private'), 'secret', { mode: 0o600 })
      const { stdout, stderr } = await shell(await openFunction(place), 'cat private')
      expect(stdout).toBe('')
      expect(stderr).toContain('Permission denied')
    },
  )

  test.skipIf(process.arch !== 'x64')(
    'inherits nothing that the daemon inherited (needs x86_64)',
    async () => {
      const folder = openSync('/etc', 'r')
      onTestFinished(() => closeSync(folder))
      const fcntl = koffi.load(null).func('int fcntl(int fd, int command, ...)')
      // As a shell does that started the daemon.
      expect(fcntl(folder, 2, 'int', 0)).toBe(0)
      const place = await openPlace()
      const { stdout } = await shell(
        await openFunction(place),
        `test -e /proc/self/fd/${folder} && echo open || echo closed`,
      )
      expect(stdout).toBe('closed')
    },
  )
})

describe.skipIf(!hasBwrap)('the network (needs bubblewrap)', () => {
  let server: Server
  let port = 0
  const abstract = `\0flexi-escape-${process.pid}`
  let abstractServer: Server

  beforeAll(async () => {
    server = createServer((socket) => socket.end('daemon'))
    abstractServer = createServer((socket) => socket.end('daemon'))
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
    await new Promise<void>((resolve) => abstractServer.listen(abstract, resolve))
    const address = server.address()
    port = typeof address === 'object' && address !== null ? address.port : 0
  })

  afterAll(() => {
    server.close()
    abstractServer.close()
  })

  const script = (): string => `
    const net = require('net')
    const ask = (options) => new Promise(resolve => {
      const socket = net.connect(options).on('error', e => resolve(e.code)).on('data', d => resolve(String(d)))
    })
    Promise.all([ask({ port: ${port}, host: '127.0.0.1' }), ask({ path: '\\0' + ${JSON.stringify(abstract.slice(1))} })]).then(a => console.log(a.join()))`

  test('of a function with none leads nowhere: not to the daemon’s ports, nor to its abstract sockets', async () => {
    const { stdout } = await node(await openFunction(await openPlace(), { network: 'none' }), script())
    expect(stdout).toBe('ECONNREFUSED,ECONNREFUSED')
  })

  test('is the machine’s own where that is allowed', async () => {
    const confinement = await openFunction(await openPlace(), { network: 'host' })
    expect(confinement.sharesLoopback).toBe(true)
    const { stdout } = await node(confinement, script())
    expect(stdout).toBe('daemon,daemon')
  })
})

describe.skipIf(!hasBwrap || !hasControlGroups)('limits (need bubblewrap and control groups)', () => {
  test('stop a fork bomb, and the neighbours never notice', async () => {
    const place = await openPlace()
    const limits = { ...LIMITS, processes: 24 }
    const bomb = await openFunction(place, { limits })
    const bombing = shell(
      bomb,
      'b() { b | b & }; b 2>/dev/null; sleep 1; ls /proc | grep -c "^[0-9]"; kill -9 -1',
    )
    await neighbour(place)
    const { stdout } = await bombing
    expect(Number(stdout.split('\n')[0] || 0)).toBeLessThanOrEqual(26)
    await neighbour(place)
  })

  test('end a function that outgrows its memory, and say that it was that', async () => {
    const place = await openPlace()
    const confinement = await openFunction(place, { limits: { ...LIMITS, memoryMb: 96 } })
    let reached: (() => string | undefined) | undefined
    const launch = confinement.launch.bind(confinement)
    confinement.launch = (spec) => {
      const launched = launch(spec)
      reached = () => launched.reached?.()
      return launched
    }
    const { exit } = await node(confinement, 'const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1))')
    expect([exit.signal, exit.code]).toContainEqual('SIGKILL')
    expect(reached?.()).toBe('memory')
    await neighbour(place)
  })

  test('say nothing of memory where a function ended otherwise', async () => {
    const confinement = await openFunction(await openPlace())
    const launch = confinement.launch({ command: '/bin/true', args: [], environment: {} })
    expect(launch.reached?.()).toBeUndefined()
  })

  test('count what is in a memory file system as memory', async () => {
    const limits = { ...LIMITS, memoryMb: 64, temporaryMb: 512 }
    const confinement = await openFunction(await openPlace(), { limits })
    const { exit } = await shell(confinement, 'exec dd if=/dev/zero of=/tmp/fill bs=1M count=300')
    expect(exit.signal).toBe('SIGKILL')
  })

  test('give a function its part of a processor', async () => {
    const limits = { ...LIMITS, processors: 0.25 }
    const confinement = await openFunction(await openPlace(), { limits })
    const { stdout } = await node(
      confinement,
      `const start = process.hrtime.bigint()
       while (process.cpuUsage().user + process.cpuUsage().system < 300000);
       console.log(Number(process.hrtime.bigint() - start) / 1e6)`,
    )
    // 300 ms of a processor at a quarter of one.
    expect(Number(stdout)).toBeGreaterThan(700)
  })
})

describe.skipIf(!hasBwrap)('the modes of what is on disk (need bubblewrap)', () => {
  test('keep other users of the machine out of run folders', async () => {
    const place = await openPlace()
    const confinement = await openFunction(place)
    expect((await stat(confinement.runDirectory)).mode & 0o777).toBe(0o700)
    expect((await stat(join(place.root, 's'))).mode & 0o777).toBe(0o711)
  })

  test('are the same whatever the daemon’s umask is', async () => {
    const before = process.umask(0o077)
    onTestFinished(() => void process.umask(before))
    const place = await openPlace()
    const sandbox = await openSandbox({ kind: 'bwrap', directory: join(place.root, 't') as AbsolutePath })
    onTestFinished(() => sandbox[Symbol.asyncDispose]())
    const confinement = await openFunction({ ...place, sandbox })
    const { stdout } = await node(confinement, 'console.log(require("os").userInfo().username)')
    expect(stdout).toBe('function')
  })
})
