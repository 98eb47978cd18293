// The Worker of a folder in miniflare, as its API is documented. `node miniflare.js PORT FOLDER [direct]`
// With `direct` the port is the Worker's own socket, and miniflare's entry, which is a Worker in front of it, listens elsewhere.
import { join } from 'node:path'

import { Miniflare } from 'miniflare'

const [, , port, folder, direct] = process.argv
const socket = { host: '127.0.0.1', port: Number(port) }
const miniflare = new Miniflare({
  ...(direct === undefined ? socket : { host: '127.0.0.1', port: 0, unsafeDirectSockets: [socket] }),
  modules: true,
  scriptPath: join(folder, 'src/index.js'),
  compatibilityDate: '2026-04-01',
  cf: false,
})
await miniflare.ready
process.once('SIGTERM', () => miniflare.dispose().then(() => process.exit(0)))
