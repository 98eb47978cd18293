import { CONTROL_ENTRYPOINT, TOKEN_FIELD } from './control.ts'
import { LOADER_SOURCE } from './loader-source.ts'
import { STATE_SOURCE } from './state-source.ts'
import { TRIGGERS_SOURCE } from './triggers-source.ts'

/** Dates of flexi's own worker in the runtime; it needs no behaviour that is newer. */
export const CONTROL_COMPATIBILITY = {
  date: '2026-01-01',
  flags: ['service_binding_extra_handlers'],
} as const

/**
 * The program of the control worker. Its default entrypoint hands requests to what was loaded last (`loader-source.ts`); the other answers
 * ControlRequests. Each part is JavaScript that defines one async function `(request, url, env, ctx) → Response`.
 */
export function controlModule(token: string): string {
  return `import { WorkerEntrypoint } from 'cloudflare:workers'
${LOADER_SOURCE}
${STATE_SOURCE}
${TRIGGERS_SOURCE}
const PARTS = { load: handleLoad, state: handleState, trigger: handleTrigger }
export class ${CONTROL_ENTRYPOINT} extends WorkerEntrypoint {
  async fetch(request) {
    if (request.headers.get(${JSON.stringify(TOKEN_FIELD)}) !== ${JSON.stringify(token)}) return new Response('forbidden', { status: 403 })
    const url = new URL(request.url)
    const part = PARTS[url.pathname.split('/')[1]]
    try {
      return part === undefined ? new Response('no such part', { status: 404 }) : await part(request, url, withLoaded(this.env), this.ctx)
    } catch (error) {
      return Response.json({ message: String(error?.message ?? error), stack: String(error?.stack ?? '') }, { status: 500 })
    }
  }
}
export default { fetch: serveLoaded }
`
}
