import { prepareServer, startServer, stopServer } from '../server.js'
import { SERVERS } from '../servers.js'

/**
 * Makes the servers of a scenario ready to start, in order. What cannot run here is left out, with its reason as a note.
 */
export function prepareLineUp(ids, { note, only, profile }) {
  return ids.flatMap((id) => {
    if (only !== undefined && !only.includes(id)) return []
    const reason = SERVERS[id].missing()
    if (reason === undefined) return [prepareServer(id, { profile })]
    note(`${SERVERS[id].label}: skipped, ${reason}`)
    return []
  })
}

/** Starts those that come up, one after the other; why one does not is a note. */
export async function startLineUp(servers, { note, progress }) {
  const started = []
  for (const server of servers) {
    progress(`start ${server.label}`)
    try {
      started.push(await startServer(server))
    } catch (error) {
      note(`skipped, did not start: ${error.message}`)
    }
  }
  return started
}

/** Returns how many processes were left behind. */
export async function stopLineUp(started, { note }) {
  const leftBehind = await Promise.all(started.map((each) => stopServer(each, note)))
  return leftBehind.flat().length
}

/** What flexi's own row is compared with: `flexi ÷ this`. */
export function ratioTo(reference, value) {
  return reference === undefined || value === undefined ? undefined : reference / value
}
