import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { freePorts } from './http.js'
import { projectRoot } from './places.js'

const flexi = join(projectRoot, 'bin', 'run.js')
const START_LIMIT_MS = 30_000

/** A daemon with a data directory of its own, to be stopped and started again. */
export async function openDaemon(sandbox) {
  const data = mkdtempSync(join(tmpdir(), 'flexi-bench-daemon-'))
  const [port] = await freePorts(1)
  let child
  let token
  const daemon = {
    port,
    get pid() {
      return child.pid
    },
    get token() {
      return token
    },
    /** Resolves with the milliseconds from the spawn to its word that it serves. */
    async start() {
      const startedAt = performance.now()
      const words = [flexi, 'daemon', 'start', '--data-dir', data, '--port', String(port)]
      child = spawn(process.execPath, [...words, '--sandbox', sandbox], {
        stdio: ['ignore', 'ignore', 'pipe'],
        detached: true,
      })
      const said = await untilSaid(child, /^pid: .*$/m)
      token ??= /^root token: (\S+)$/m.exec(said)?.[1]
      return performance.now() - startedAt
    },
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
    },
    /** `flexi deploy`; returns what it printed. @throws Error with it when it fails. */
    deploy(folder, ...flags) {
      const words = [flexi, 'deploy', folder, '--daemon', `http://localhost:${port}`, ...flags]
      const env = { ...process.env, FLEXI_TOKEN: token }
      const { status, stdout, stderr } = spawnSync(process.execPath, words, { env, encoding: 'utf8' })
      if (status !== 0) throw new Error(stdout + stderr)
      return stdout
    },
    /** One request to the API: `{ status, body }`. */
    api: (method, path, body) => ask(port, { method, path, token, body }),
    /** One request to a function: `{ status, body, ms }`. */
    get: (host) => ask(port, { method: 'GET', path: '/', host: `${host}.localhost:${port}` }),
    remove: () => rmSync(data, { recursive: true, force: true }),
  }
  return daemon
}

function untilSaid(child, pattern) {
  return new Promise((resolve, reject) => {
    let said = ''
    const timer = setTimeout(() => reject(new Error(`the daemon did not start: ${said}`)), START_LIMIT_MS)
    const end = (settle, value) => {
      clearTimeout(timer)
      settle(value)
    }
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said += text
      if (pattern.test(said)) setImmediate(() => end(resolve, said))
    })
    child.once('exit', () => end(reject, new Error(`the daemon ended: ${said}`)))
  })
}

function ask(port, { method, path, token, body, host }) {
  const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body))
  const type = Buffer.isBuffer(body) ? 'application/gzip' : 'application/json'
  const startedAt = performance.now()
  return new Promise((resolve, reject) => {
    const headers = {
      ...(host === undefined ? {} : { Host: host }),
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      ...(bytes === undefined ? {} : { 'Content-Type': type, 'Content-Length': bytes.length }),
    }
    const outgoing = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (incoming) => {
      let text = ''
      incoming.setEncoding('utf8').on('data', (chunk) => (text += chunk))
      incoming.on('error', reject)
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode, body: text, ms: performance.now() - startedAt }),
      )
    })
    outgoing.on('error', reject)
    outgoing.end(bytes)
  })
}
