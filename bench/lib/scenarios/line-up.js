import { prepareServer, startServer, stopServer } from '../server.js'
import { SERVERS } from '../servers.js'

/**
 * Makes the servers of a scenario ready to start, in order. What cannot run here is left out, with its reason as a note.
 * `where` says for proxies which port they ask (`upstream`), and which `core` each server is kept on.
 */
export function prepareLineUp(ids, { note, only, profile }, where = {}) {
  return ids.flatMap((id) => {
    if (only !== undefined && !only.includes(id)) return []
    const reason = SERVERS[id].missing()
    if (reason === undefined) return [prepareServer(id, { profile, ...where })]
    note(`${SERVERS[id].label}: skipped, ${reason}`)
    return []
  })
}

/** All of them at once, for as long as `measure` takes; it is given those that came up. */
export async function withLineUp(ids, context, measure, where) {
  const started = []
  try {
    for (const server of prepareLineUp(ids, context, where))
      started.push(...(await startOne(server, context)))
    return await measure(started)
  } finally {
    await Promise.all(started.map((each) => stopServer(each, context.note)))
  }
}

/** One after the other, each alone. Returns what `measure` found, and how many processes were `leftBehind`, by the server's id. */
export async function measureEach(ids, context, measure, where) {
  const found = new Map()
  for (const server of prepareLineUp(ids, context, where)) {
    for (const started of await startOne(server, context)) {
      let leftBehind
      let one
      try {
        one = await measure(started)
      } finally {
        leftBehind = await stopServer(started, context.note)
      }
      found.set(server.id, { server: started, ...one, leftBehind: leftBehind.length })
    }
  }
  return found
}

/** The one that came up, or none and a note that says why. */
async function startOne(server, { note, progress }) {
  progress(`start ${server.label}`)
  try {
    return [await startServer(server)]
  } catch (error) {
    note(`skipped, did not start: ${error.message}`)
    return []
  }
}

/** What flexi's own row is compared with: `flexi ÷ this`. */
export function ratioTo(reference, value) {
  return reference === undefined || value === undefined ? undefined : reference / value
}
