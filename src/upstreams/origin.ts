import type { Logger } from '../core/log.ts'
import type { OriginState, UpstreamSettings } from '../core/upstream.ts'
import { Circuit } from './circuit.ts'
import { HealthCheck } from './health.ts'
import { probeOf, type Transport } from './transport.ts'

const EJECT = { fails: 3, forMs: 10_000 }

/** One server as it is known to all routes that name it: its connections, its health, the requests under way. */
export class Origin {
  /** As the configuration writes it. */
  readonly url: string
  readonly address: URL
  readonly transport: Transport
  readonly circuit: Circuit
  /** Called when a request has ended, or the origin is back: somebody may be waiting. */
  readonly waiters = new Set<() => void>()
  inFlight = 0
  #check: HealthCheck | undefined

  constructor(
    url: string,
    address: URL,
    parts: { transport: Transport; settings: UpstreamSettings; log: Logger },
  ) {
    const { transport, settings, log } = parts
    this.url = url
    this.address = address
    this.transport = transport
    this.circuit = new Circuit(url, { ...(settings.eject ?? EJECT), log, onReturn: () => this.#wake() })
    if (settings.health !== undefined) {
      const probe = probeOf(transport, address.origin, hostOf(settings.host, address))
      this.#check = new HealthCheck(settings.health, this.circuit, probe)
    }
  }

  get state(): OriginState {
    return { url: this.url, circuit: this.circuit.state, inFlight: this.inFlight }
  }

  enter(): boolean {
    this.inFlight++
    return this.circuit.enter()
  }

  leave(): void {
    this.inFlight--
    this.#wake()
  }

  #wake(): void {
    for (const waiter of this.waiters) waiter()
  }

  /** Requests under way finish; nothing else begins. */
  async close(): Promise<void> {
    this.#check?.[Symbol.dispose]()
    await this.transport[Symbol.asyncDispose]()
  }
}

/** A health check has no client whose Host it could keep. */
function hostOf(host: string | undefined, { host: own }: URL): string {
  return host === undefined || host === 'keep' || host === 'upstream' ? own : host
}
