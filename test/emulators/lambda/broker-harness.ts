import { EventBridgeClient } from '@aws-sdk/client-eventbridge'
import { SNSClient } from '@aws-sdk/client-sns'
import { SQSClient } from '@aws-sdk/client-sqs'

import type { SocketFetcher } from '../../../src/core/fetcher.ts'
import { createLogger, silentLogger } from '../../../src/core/log.ts'
import { openBrokers, type BrokersOptions } from '../../../src/emulators/lambda/brokers/brokers.ts'
import type { Resource } from '../../../src/emulators/lambda/service/resource.ts'
import type { Brokers, Listeners } from '../../../src/emulators/lambda/service/service.ts'
import { systemClock } from '../../../src/emulators/lambda/sources/clock.ts'
import { openGateway } from '../../../src/gateway/gateway.ts'

interface Invoked {
  readonly reference: string
  readonly event: unknown
}

export interface Hosted extends AsyncDisposable {
  readonly brokers: Brokers
  /** Where SDKs are pointed at. */
  readonly endpoint: string
  readonly sqs: SQSClient
  readonly sns: SNSClient
  readonly bridge: EventBridgeClient
  /** What functions were invoked with. */
  readonly invoked: Invoked[]
  /** Messages of warnings. */
  readonly said: string[]
  /** The clock's: milliseconds since the epoch. */
  clock: number
  /** As the application does before it stops. */
  close(): void
  listen(listeners: Partial<Listeners>): void
}

const options = {
  region: 'us-east-1',
  credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  maxAttempts: 1,
}

/** The brokers behind the real gateway. The clock stands still unless the test says otherwise. */
export async function hosted({
  resources = [],
  ticking = false,
  ...more
}: Partial<BrokersOptions> & {
  readonly resources?: readonly Resource[]
  readonly ticking?: boolean
} = {}): Promise<Hosted> {
  const invoked: Invoked[] = []
  const said: string[] = []
  const closing = new AbortController()
  const timers = new Set<{ readonly at: number; readonly call: () => void }>()
  const state = { clock: Date.parse('2026-11-21T10:00:00.250Z'), url: '' }
  const brokers = await openBrokers({
    host: {
      log: createLogger(({ fields }) => void said.push(String(fields['message'])), 'warn'),
      control: () => `${state.url}/_flexi`,
      resources: () => resources,
      closing: closing.signal,
    },
    invokeEvent(reference, payload) {
      invoked.push({ reference, event: JSON.parse(Buffer.from(payload).toString()) as unknown })
      return Promise.resolve()
    },
    region: 'us-east-1',
    clock: ticking
      ? systemClock
      : {
          now: () => state.clock,
          after(ms, call) {
            const timer = { at: state.clock + ms, call }
            timers.add(timer)
            return () => void timers.delete(timer)
          },
        },
    retryDelaysMs: [1, 1],
    ...more,
  })
  const aws: SocketFetcher = {
    async handle(incoming, outgoing, context) {
      const fetcher = brokers.fetcherOf(context.raw)
      if (fetcher !== undefined) return await fetcher.handle(incoming, outgoing, context)
      outgoing.writeHead(404)
      outgoing.end()
    },
  }
  const gateway = await openGateway({
    host: '127.0.0.1',
    port: 0,
    mode: 'serve',
    table: { routes: [], functions: new Map() },
    mounts: new Map([['aws', aws]]),
    log: silentLogger,
    onAccess: () => undefined,
  })
  state.url = gateway.url
  const endpoint = `${gateway.url}/_flexi/aws`
  const clients = {
    sqs: new SQSClient({ ...options, endpoint }),
    sns: new SNSClient({ ...options, endpoint }),
    bridge: new EventBridgeClient({ ...options, endpoint }),
  }
  return {
    brokers,
    endpoint,
    ...clients,
    invoked,
    said,
    get clock() {
      return state.clock
    },
    set clock(value) {
      state.clock = value
      for (const timer of Array.from(timers)) {
        if (timer.at <= value && timers.delete(timer)) timer.call()
      }
    },
    close: () => closing.abort(),
    listen: (listeners) => brokers.listen({ topics: [], buses: [], buckets: [], ...listeners }),
    async [Symbol.asyncDispose]() {
      for (const client of Object.values(clients)) client.destroy()
      await brokers[Symbol.asyncDispose]()
      await gateway[Symbol.asyncDispose]()
    },
  }
}
