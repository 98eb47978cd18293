import { join } from 'node:path'

import { onCore } from './cores.js'
import { firstAnswer, freePorts } from './http.js'
import { startProcess, stopProcess, outputOf } from './processes.js'
import { scratchFolder } from './scratch.js'
import { SERVERS } from './servers.js'

/** What a server takes at most; the first is the one asked. */
const PORTS = 4
const READY_POLL_MS = 2
const READY_LIMIT_MS = 30_000

/**
 * One of SERVERS with a folder of its own, to be started and stopped as often as needed: `upstream` is the port that a proxy asks,
 * `core` the one that it is kept on.
 * @throws Error when its folder cannot be made
 */
export function prepareServer(id, { profile, upstream, core } = {}) {
  const kind = SERVERS[id]
  return { id, ...kind, profile, upstream, core, folder: kind.prepare(), logFolder: scratchFolder('log') }
}

/**
 * Starts it and waits for its first right answer.
 * `readyMs` is from before the spawn to that answer, seen by new connections 2 ms apart.
 * @throws Error with what it printed, when it does not come up or answers something else
 */
export async function startServer(server) {
  const [port, ...morePorts] = await freePorts(PORTS)
  const url = `http://127.0.0.1:${port}/`
  const { folder, profile, upstream } = server
  const command = server.start({ folder, port, morePorts, profile, upstream })
  const running = startProcess({
    ...onCore(server.core, command),
    logFile: join(server.logFolder, 'output.log'),
  })
  try {
    const gaveUp = () => running.ended
    const answer = await firstAnswer(url, {
      everyMs: READY_POLL_MS,
      limitMs: READY_LIMIT_MS,
      gaveUp,
      host: server.host,
    })
    const readyMs = performance.now() - running.startedAt
    if (answer.body !== server.body)
      throw new Error(
        `GET / answered ${JSON.stringify(answer.body.slice(0, 200))}, not ${JSON.stringify(server.body)}`,
      )
    return { ...server, url, port, pid: running.pid, running, readyMs }
  } catch (error) {
    await stopProcess(running)
    throw new Error(`${server.label}: ${error.message}\n${outputOf(running)}`, { cause: error })
  }
}

/** Stops it, and tells when it left processes behind. */
export async function stopServer(started, note) {
  const leftBehind = await stopProcess(started.running)
  for (const command of leftBehind) note(`${started.label} left a process behind when it ended: ${command}`)
  return leftBehind
}
