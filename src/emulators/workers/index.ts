import type { Emulator } from '../../core/function.ts'
import { workerExposure } from './exposure.ts'
import { detectWorker, isWranglerFile, recogniseWorker } from './detect.ts'

/** Cloudflare Workers on the real workerd, configured by the wrangler file of their folder. */
export const workers: Emulator = {
  name: 'workers',
  connected: true,
  api: {
    mount: 'workers',
    wanted: async (host) =>
      host.functions().length > 0 && (await import('./api/wanted.ts')).isApiWanted(host),
    open: async (host) => (await import('./api/workers-api.ts')).openWorkersApi(host),
  },
  detect: detectWorker,
  recognise: recogniseWorker,
  ownsFile: isWranglerFile,
  exposure: workerExposure,
  runEvent: async (event) => (await import('./events/run-event.ts')).runEvent(event),
  schedules: async () => (await import('./shipped/schedules.ts')).workerSchedules,
  check: async (config) => (await import('./check.ts')).checkWorker(config),
  open: async (config, scope) => (await import('./source.ts')).openSource(config, scope),
}
