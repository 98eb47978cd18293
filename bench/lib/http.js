import { Agent, request } from 'node:http'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const ANSWER_LIMIT_MS = 30_000

/** Ports of 127.0.0.1 that nobody listens on now, all different. */
export async function freePorts(count) {
  const servers = await Promise.all(Array.from({ length: count }, listenAnywhere))
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

function listenAnywhere() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
}

/** One GET: `{ status, body }`. Without an agent it opens a connection of its own; `host` is asked for in place of the URL's. */
export function get(url, agent = false, host) {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { agent, timeout: ANSWER_LIMIT_MS, headers: host === undefined ? {} : { Host: host } },
      (incoming) => {
        const chunks = []
        incoming.on('data', (chunk) => chunks.push(chunk))
        incoming.once('error', reject)
        incoming.once('end', () =>
          resolve({ status: incoming.statusCode, body: Buffer.concat(chunks).toString() }),
        )
      },
    )
    outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer in ${ANSWER_LIMIT_MS} ms`)))
    outgoing.once('error', reject)
    outgoing.end()
  })
}

/** One connection, kept open from request to request. */
export function oneConnection() {
  return new Agent({ keepAlive: true, maxSockets: 1 })
}

/**
 * Asks until the first 200, each time on a new connection, `everyMs` after the last refusal.
 * `gaveUp()` says why nobody will answer any more; `host` is asked for in place of the URL's.
 * @throws Error after `limitMs`, or with that reason
 */
export async function firstAnswer(url, { everyMs, limitMs, gaveUp, host }) {
  const limit = performance.now() + limitMs
  let last = 'nobody listened'
  while (performance.now() < limit) {
    const reason = gaveUp()
    if (reason !== undefined) throw new Error(`it ended before it answered (${reason})`)
    const answer = await get(url, false, host).catch((error) => ({ status: 0, body: error.message }))
    if (answer.status === 200) return answer
    last = `${answer.status} ${answer.body.slice(0, 200)}`
    await sleep(everyMs)
  }
  throw new Error(`no 200 in ${limitMs} ms; last: ${last}`)
}
