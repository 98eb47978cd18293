// The Worker of a folder in miniflare, as its API is documented. `node miniflare.js PORT FOLDER`
import { join } from 'node:path'

import { Miniflare } from 'miniflare'

const [, , port, folder] = process.argv
const miniflare = new Miniflare({
  host: '127.0.0.1',
  port: Number(port),
  modules: true,
  scriptPath: join(folder, 'src/index.js'),
  compatibilityDate: '2026-04-01',
  cf: false,
})
await miniflare.ready
process.once('SIGTERM', () => miniflare.dispose().then(() => process.exit(0)))
