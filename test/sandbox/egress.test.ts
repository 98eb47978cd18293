import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { startChild } from '../../src/instances/child.ts'
import { hasSlirp } from './machine.ts'
import { node, openFunction, openPlace, shell } from './sandbox-scope.ts'

// Addresses for documentation: no real network has them.
const OUTSIDE = '203.0.113.2'
const OURS = '203.0.113.1'
const LINK_LOCAL = '169.254.169.254'
const PORT = 8099
const NAME = `flexi${process.pid}`

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

function canMakeNetworks(): boolean {
  if (!hasSlirp) return false
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
  const script = `require('net').createServer(s => s.end('outside')).listen(${PORT}, '0.0.0.0', () => console.log('ready'))`
  const server = spawn('ip', ['netns', 'exec', NAME, process.execPath, '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(server.stdout, 'data')
  return () => {
    server.kill('SIGKILL')
    ip('link', 'del', `${NAME}a`)
    ip('netns', 'del', NAME)
  }
}

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
      const { stdout } = await node(confinement, asking(OUTSIDE, OURS, LINK_LOCAL, '127.0.0.1', '10.0.2.2'))
      const [outside, ...closed] = stdout.split(',')
      expect(outside).toBe('outside')
      expect(closed).toEqual([
        'EHOSTUNREACH',
        'EHOSTUNREACH',
        'ECONNREFUSED',
        expect.stringMatching(/^E\w+|timeout$/),
      ])
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
      const { stdout } = await node(await openFunction(await openPlace(), { network: 'host' }), asking(OURS))
      expect(stdout).toBe('daemon')
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

test.skipIf(hasSlirp)(
  'says what is missing for egress where slirp4netns is not there (needs a machine without)',
  async () => {
    const place = await openPlace()
    expect(place.sandbox.capabilities.egress).toBeUndefined()
    await expect(openFunction(place, { network: 'egress' })).rejects.toThrow(/install slirp4netns/)
  },
)

/** Of this test's own process. */
function slirps(): number {
  const lines = execFileSync('ps', ['-eo', 'ppid=,comm='], { encoding: 'utf8' }).split('\n')
  return lines.filter((line) => line.trim() === `${process.pid} slirp4netns`).length
}
