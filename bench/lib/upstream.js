import { OTHER_CORE } from './cores.js'
import { prepareServer, startServer, stopServer } from './server.js'
import { SERVERS } from './servers.js'

/** Runs with the first of these upstreams that this machine has. */
export async function withUpstream(ids, context, run) {
  const id = ids.find((each) => SERVERS[each].missing() === undefined)
  const upstream = await startServer(prepareServer(id, { core: OTHER_CORE }))
  try {
    return await run(upstream)
  } finally {
    await stopServer(upstream, context.note)
  }
}
