import type { DevEvent } from '../core/events.ts'
import type { Gateway } from '../gateway/gateway.ts'
import { createMetrics } from '../metrics/metrics.ts'
import type { LiveProject } from './live-project.ts'

interface MetricsPage {
  /** Counts, and passes on. */
  readonly onEvent: (event: DevEvent) => void
  /** `/_flexi/metrics`, for a Prometheus on this machine. */
  serve(gateway: Gateway, live: LiveProject): void
}

/** Where no path is reserved, nothing is counted. */
export function openMetricsPage(
  controlPrefix: string | false,
  onEvent: (event: DevEvent) => void,
): MetricsPage {
  if (controlPrefix === false) return { onEvent, serve: () => undefined }
  const metrics = createMetrics({ controlPrefix })
  return {
    onEvent: (event) => {
      metrics.observe(event)
      onEvent(event)
    },
    serve(gateway, live) {
      gateway.control.get('/metrics', async (context) => {
        const { contentType, text } = await metrics.scrape({
          inFlight: gateway.inFlight,
          pools: new Map([...live.served].map(([name, { pool }]) => [name, pool.state()])),
          origins: live.origins(),
        })
        return context.body(text, 200, { 'Content-Type': contentType, 'Cache-Control': 'no-store' })
      })
    },
  }
}
