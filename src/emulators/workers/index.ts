import type { Emulator } from '../../core/function.ts'
import { detectWorker, recogniseWorker } from './detect.ts'

/** Cloudflare Workers on the real workerd, configured by the wrangler file of their folder. */
export const workers: Emulator = {
  name: 'workers',
  connected: true,
  detect: detectWorker,
  recognise: recogniseWorker,
  open: async (config, scope) => (await import('./source.ts')).openSource(config, scope),
}
