import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'

import { startChild } from '../../src/instances/child.ts'
import { openEgress } from '../../src/sandbox/network/open-egress.ts'
import { localTargets } from '../../src/sandbox/network/own-addresses.ts'
import { findTools } from '../../src/sandbox/tools.ts'
import { hasSlirp, isRoot } from './machine.ts'
import { node, openFunction, openPlace, shell } from './sandbox-scope.ts'

// Addresses for documentation: no real network has them.
const OUTSIDE = '203.0.113.2'
const OURS = '203.0.113.1'
const LINK_LOCAL = '169.254.169.254'
// Of a bridge that nothing is connected to, and of the loopback interface: no list of interfaces for programs has them.
const OURS_WITHOUT_CABLE = '198.51.100.1'
const OURS_ON_LOOPBACK = '198.51.100.200'
const PORT = 8099
const NAME = `flexi${process.pid}`

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

function canMakeNetworks(): boolean {
  if (!hasSlirp || !isRoot) return false
  try {
    ip('netns', 'add', NAME)
    ip('netns', 'del', NAME)
    return true
  } catch {
    return false
  }
}

/** Another machine: a network namespace with a cable to this one. */
async function makeOutside(): Promise<() => void> {
  ip('netns', 'add', NAME)
  ip('link', 'add', `${NAME}a`, 'type', 'veth', 'peer', 'name', `${NAME}b`, 'netns', NAME)
  for (const address of [`${OURS}/24`, `${LINK_LOCAL.slice(0, -3)}1/16`])
    ip('addr', 'add', address, 'dev', `${NAME}a`)
  ip('link', 'set', `${NAME}a`, 'up')
  for (const address of [`${OUTSIDE}/24`, `${LINK_LOCAL}/16`])
    ip('-n', NAME, 'addr', 'add', address, 'dev', `${NAME}b`)
  ip('-n', NAME, 'link', 'set', `${NAME}b`, 'up')
  ip('link', 'add', `${NAME}c`, 'type', 'bridge')
  ip('addr', 'add', `${OURS_WITHOUT_CABLE}/25`, 'dev', `${NAME}c`)
  ip('link', 'set', `${NAME}c`, 'up')
  ip('addr', 'add', `${OURS_ON_LOOPBACK}/32`, 'dev', 'lo')
  const script = `require('net').createServer(s => s.end('outside')).listen(${PORT}, '0.0.0.0', () => console.log('ready'))`
  const server = spawn('ip', ['netns', 'exec', NAME, process.execPath, '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(server.stdout, 'data')
  return () => {
    server.kill('SIGKILL')
    ip('addr', 'del', `${OURS_ON_LOOPBACK}/32`, 'dev', 'lo')
    ip('link', 'del', `${NAME}c`)
    ip('link', 'del', `${NAME}a`)
    ip('netns', 'del', NAME)
  }
}

const DAEMON = join(import.meta.dirname, '..', 'fixtures', 'sandbox', 'egress.js')
const USER = 12_345
const AS_USER = isRoot ? ['setpriv', '--reuid', `${USER}`, '--regid', `${USER}`, '--clear-groups'] : []
const hasUser = hasSlirp && canRead(DAEMON)

/** Of its titles, two routes of the network, and what is closed. */
const COUNT_ROUTES = `console.log(require('fs').readFileSync('/proc/net/route', 'utf8').trim().split('\\n').length)`

interface Told {
  readonly egress?: string
  readonly notes?: readonly string[]
  readonly lines?: readonly string[]
  readonly error?: string
}

function canRead(file: string): boolean {
  try {
    const [command, ...args] = [...AS_USER, 'test', '-r', file]
    execFileSync(command, args)
    return true
  } catch {
    return false
  }
}

/** A sandbox that somebody opens who is not root: `told` is its capabilities, and what came of each script. */
function startAsUser(policy: object, ...scripts: readonly string[]) {
  const directory = mkdtempSync(join(tmpdir(), 'flexi-eg-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  if (isRoot) chownSync(directory, USER, USER)
  const words = [...AS_USER, process.execPath, DAEMON, directory, JSON.stringify(policy), ...scripts]
  const [command = '', ...args] = words
  const daemon = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: daemon.stdout })
  const all: Told[] = []
  const told = once(lines, 'close').then(() => all)
  const up = new Promise<void>((resolve) =>
    lines.on('line', (line) => {
      if (line === '"up"') resolve()
      else all.push(JSON.parse(line) as Told)
    }),
  )
  return { daemon, up, told }
}

/** What is dead, and only waits for its parent to hear of it, is not. */
function isThere(pid: number | undefined): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** What reaches nothing, and what comes of it. */
const CLOSED = [
  [OURS, 'EHOSTUNREACH'],
  [OURS_WITHOUT_CABLE, 'EHOSTUNREACH'],
  [OURS_ON_LOOPBACK, 'EHOSTUNREACH'],
  [LINK_LOCAL, 'EHOSTUNREACH'],
  ['127.0.0.1', 'ECONNREFUSED'],
  ['10.0.2.2', expect.stringMatching(/^E\w+|timeout$/)],
] as const

/** Tries to reach addresses from inside: `outside`, or the name of the error. */
function asking(...hosts: string[]): string {
  return `
    const ask = host => new Promise(resolve => {
      const socket = require('net').connect({ host, port: ${PORT}, timeout: 3000 })
      socket.on('error', e => resolve(e.code)).on('data', d => resolve(String(d))).on('timeout', () => resolve('timeout'))
    })
    Promise.all(${JSON.stringify(hosts)}.map(ask)).then(all => { console.log(all.join()); process.exit() })`
}

describe.skipIf(!canMakeNetworks())(
  'egress (needs bubblewrap, slirp4netns, ip, root and the right to make networks)',
  () => {
    let remove = (): void => undefined
    let ours: Server

    beforeAll(async () => {
      remove = await makeOutside()
      ours = createServer((socket) => socket.end('daemon'))
      await new Promise<void>((resolve) => ours.listen(PORT, '0.0.0.0', resolve))
    })

    afterAll(() => {
      ours.close()
      remove()
    })

    test('reaches the outside, and neither the daemon by any address, nor what is on the same cable only', async () => {
      const place = await openPlace()
      expect(place.sandbox.capabilities.egress).toMatch(/^slirp4netns \d/)
      const confinement = await openFunction(place, { network: 'egress' })
      expect(confinement.sharesLoopback).toBe(false)
      const { stdout } = await node(confinement, asking(OUTSIDE, ...CLOSED.map(([host]) => host)))
      expect(stdout.split(',')).toEqual(['outside', ...CLOSED.map(([, error]) => error)])
    })

    test.skipIf(!hasUser)('is the same for a daemon that is not root', async () => {
      const { told } = startAsUser({}, asking(OUTSIDE, ...CLOSED.map(([host]) => host)))
      const [, run] = await told
      expect(run?.lines?.[0]?.split(',')).toEqual(['outside', ...CLOSED.map(([, error]) => error)])
    })

    test('leaves what the machine has mounted as it is', async () => {
      await shell(await openFunction(await openPlace(), { network: 'egress' }), 'true')
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).toContain(`/${NAME} `)
    })

    test('is there for many that start at once', async () => {
      const place = await openPlace()
      const all = await Promise.all(
        Array.from({ length: 12 }, async (_, index) => {
          const confinement = await openFunction(place, { network: 'egress', number: 20 + index })
          const { stdout, exit } = await shell(confinement, 'wc -l < /proc/net/route')
          return exit.error?.message ?? stdout
        }),
      )
      // Its titles, two routes of the network, what is closed.
      for (const count of all) expect(Number(count)).toBeGreaterThanOrEqual(5)
    })

    test('would reach the daemon by the address of the machine, were it not closed', async () => {
      const confinement = await openFunction(await openPlace(), { network: 'host' })
      const { stdout } = await node(confinement, asking(OURS, OURS_WITHOUT_CABLE, OURS_ON_LOOPBACK))
      expect(stdout).toBe('daemon,daemon,daemon')
    })

    test('of none reaches nothing', async () => {
      const { stdout } = await node(
        await openFunction(await openPlace(), { network: 'none' }),
        asking(OUTSIDE),
      )
      expect(stdout).toBe('ENETUNREACH')
    })

    test('cannot be opened from inside: routes are not the function’s to change', async () => {
      const confinement = await openFunction(await openPlace(), { network: 'egress' })
      const { stdout } = await node(
        confinement,
        `const { spawnSync } = require('child_process')
       console.log(spawnSync('ip', ['route', 'del', 'unreachable', '${OURS}']).stderr.toString().trim())`,
        { environment: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } },
      )
      expect(stdout).toContain('Operation not permitted')
    })

    test('ends with the function, and with the sandbox', async () => {
      const place = await openPlace()
      const confinement = await openFunction(place, { network: 'egress' })
      const before = slirps()
      const lines: string[] = []
      const child = startChild({
        command: process.execPath,
        args: ['-e', 'console.log("up"); setInterval(() => {}, 1000)'],
        environment: {},
        confinement,
        onLine: (_stream, line) => lines.push(line),
      })
      await expect.poll(() => lines, { timeout: 5000 }).toEqual(['up'])
      expect(slirps()).toBe(before + 1)
      child.kill()
      await child.exited
      await expect.poll(slirps).toBe(before)
    })
  },
)

describe.skipIf(!hasUser)(
  'egress of a daemon that is not root (needs slirp4netns, ip and readable files)',
  () => {
    test('is there, many at once, and the daemon says what else it lacks', async () => {
      const scripts = Array.from({ length: 12 }, () => COUNT_ROUTES)
      const [capabilities, ...runs] = await startAsUser({}, ...scripts).told
      expect(capabilities).toMatchObject({
        egress: expect.stringMatching(/^slirp4netns \d/),
        ownUsers: false,
      })
      expect(capabilities?.notes?.join()).not.toContain('egress')
      expect(runs).toHaveLength(scripts.length)
      for (const { error, lines } of runs) {
        expect(error).toBeUndefined()
        expect(Number(lines?.[0])).toBeGreaterThanOrEqual(5)
      }
    })

    test('is there without a /dev', async () => {
      const [, run] = await startAsUser({ mounts: { dev: false } }, COUNT_ROUTES).told
      expect(Number(run?.lines?.[0])).toBeGreaterThanOrEqual(5)
    })

    test('cannot be opened from inside: a function has no capability, and enters no namespace that has', async () => {
      const script = `
      const { spawnSync } = require('child_process')
      const { readFileSync, readlinkSync } = require('fs')
      const say = (...words) => console.log(spawnSync(words[0], words.slice(1)).stderr.toString().split('\\n')[0])
      console.log(/CapEff:\\s+(\\w+)[^]*CapBnd:\\s+(\\w+)/.exec(readFileSync('/proc/self/status')).slice(1).join())
      say('/usr/sbin/ip', 'route', 'del', 'unreachable', '169.254.0.0/16')
      say('/usr/sbin/ip', 'link', 'set', 'tap0', 'down')
      say('/usr/bin/nsenter', '--preserve-credentials', '--user=/proc/1/ns/user', '--net=/proc/1/ns/net', 'true')
      say('/usr/bin/unshare', '--user', 'true')`
      const [, run] = await startAsUser({}, script).told
      expect(run?.lines).toEqual([
        '0000000000000000,0000000000000000',
        expect.stringContaining('Operation not permitted'),
        expect.stringContaining('Operation not permitted'),
        expect.stringContaining('Operation not permitted'),
        expect.stringContaining('Operation not permitted'),
      ])
    })

    test('ends with a daemon that is killed', async () => {
      const { daemon, up, told } = startAsUser({}, 'console.log("up"); setInterval(() => {}, 1000)')
      await up
      const [slirp] = slirpsOf(daemon.pid)
      expect(slirp).toBeDefined()
      daemon.kill('SIGKILL')
      await told
      await expect.poll(() => isThere(slirp)).toBe(false)
    })
  },
)

describe('says what is missing for egress', () => {
  test.each([
    ['slirp4netns', /install slirp4netns/],
    ['ip', /install iproute2/],
    ['nsenter', /install util-linux/],
  ] as const)('without %s', async (name, reason) => {
    const { egress, fault, notes } = await openEgress(
      { ...(await findTools()), [name]: undefined },
      undefined,
    )
    expect(egress).toBeUndefined()
    expect(fault).toMatch(reason)
    expect(notes).toEqual([expect.stringMatching(reason)])
  })

  test.skipIf(!hasSlirp)('where a sandbox cannot be joined (needs slirp4netns)', async () => {
    const tools = { ...(await findTools()), slirp4netns: '/bin/false' }
    expect((await openEgress(tools, isRoot ? 1_900_000_000 : undefined)).fault).toBe(
      'slirp4netns cannot join a sandbox here (slirp4netns: it ended)',
    )
  })

  test.skipIf(hasSlirp)('and refuses what wants it (needs a machine without slirp4netns)', async () => {
    const place = await openPlace()
    expect(place.sandbox.capabilities.egress).toBeUndefined()
    await expect(openFunction(place, { network: 'egress' })).rejects.toThrow(
      /install slirp4netns.*--network none/,
    )
  })
})

test('addresses of the machine are those that its kernel takes in, but for 127.0.0.0/8 and tables of rules', () => {
  const table = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/31 1 0 0
        |-- 127.0.0.0
           /8 host LOCAL
        |-- 127.0.0.1
           /32 host LOCAL
     +-- 192.0.2.0/30 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
           /25 host LOCAL
        |-- 192.0.2.2
           /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
`
  const rule = 'Id 100:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 198.51.100.0\n        /24 host LOCAL\n'
  const targets = localTargets(`${rule}${table}${table.replace('Main', 'Local')}${rule}`)
  expect(targets).toEqual(['192.0.2.0/25', '192.0.2.2/32'])
})

/** Of this test's own process. */
function slirps(): number {
  return slirpsOf(process.pid).length
}

function slirpsOf(parent: number | undefined): number[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,ppid=,comm='], { encoding: 'utf8' }).split('\n')
  const found = lines.map((line) => line.trim().split(/\s+/))
  return found
    .filter(([, ppid, name]) => ppid === String(parent) && name === 'slirp4netns')
    .map(([pid]) => Number(pid))
}
