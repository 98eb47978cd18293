import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Plugin, Service, ServicesOptions } from './plugin.ts'

/** The service of miniflare's broker; `queues:queue:NAME` hands to its object of that name. */
const BROKER_SERVICE = 'queues:queue'
const QUEUE_BINDING = 'FLEXI_QUEUE_'
/** miniflare's own module, as code beside it imports it. */
const WRAPPED = JSON.stringify('./broker.worker.js')

/**
 * Lets miniflare's queues, which live in memory, keep what nobody has taken yet over reloads and restarts. Each has a broker and a
 * folder of its own, because workers in another process, with other queues, may run at the same time.
 */
export function keptQueues(plugin: Plugin): void {
  const { getServices } = plugin
  plugin.getServices = async (args) => {
    const services = ((await getServices.call(plugin, args)) ?? []) as Service[]
    const broker = services.find(({ name }) => name === BROKER_SERVICE)
    if (broker === undefined) return services
    const root = join(args.defaultPersistRoot ?? args.tmpPath, 'queues')
    const kept = services
      .filter((service) => service !== broker)
      .map((entry) => keptQueue(entry, { broker: withQueues(broker, args), root }))
    return (await Promise.all(kept)).flat()
  }
}

async function keptQueue(
  entry: Service,
  { broker, root }: { readonly broker: Service; readonly root: string },
): Promise<readonly Service[]> {
  const queue = entry.name.slice(`${BROKER_SERVICE}:`.length)
  const path = join(root, folderName(queue))
  await mkdir(path, { recursive: true })
  const own = `queues:broker:${queue}`
  const storage = `queues:storage:${queue}`
  return [
    leadTo(entry, own),
    { ...keeping(broker, storage), name: own },
    { name: storage, disk: { path, writable: true } },
  ]
}

/** One folder, in the one of the queues: whoever named it may not be one who may make folders elsewhere. */
function folderName(queue: string): string {
  return encodeURIComponent(queue).replace(/^\.+$/, (dots) => dots.replaceAll('.', '%2E'))
}

/** Lets a broker reach every queue of the runtime. */
function withQueues(broker: Service, { queueProducers }: ServicesOptions): Service {
  const names = new Set([...(queueProducers ?? new Map()).values()].map(({ queueName }) => queueName))
  const bindings = [...names].map((name) => ({
    name: `${QUEUE_BINDING}${name}`,
    service: { name: `${BROKER_SERVICE}:${name}` },
  }))
  return {
    ...broker,
    worker: { ...broker.worker, bindings: [...(broker.worker?.bindings ?? []), ...bindings] },
  }
}

/** The same service, asking another broker's objects. */
function leadTo(entry: Service, serviceName: string): Service {
  const bindings = (entry.worker?.bindings ?? []).map((binding) =>
    binding.durableObjectNamespace?.serviceName === BROKER_SERVICE
      ? { ...binding, durableObjectNamespace: { ...binding.durableObjectNamespace, serviceName } }
      : binding,
  )
  return { ...entry, worker: { ...entry.worker, bindings } }
}

function keeping(service: Service, storage: string): Service {
  const { modules = [], durableObjectNamespaces = [] } = service.worker ?? {}
  return {
    ...service,
    worker: {
      ...service.worker,
      modules: [{ name: 'flexi-kept.mjs', esModule: BROKER }, ...modules],
      durableObjectNamespaces: durableObjectNamespaces.map((namespace) => ({
        ...namespace,
        enableSql: true,
      })),
      durableObjectStorage: { localDisk: storage },
    },
  }
}

// A message is stored before it is queued and forgotten when its consumer has it, or has had it too often. The alarm is there to have the
// object made when the runtime starts: timers do the rest while it lives.
const BROKER = `
import { QueueBrokerObject as Broker } from ${WRAPPED}

const CONSUMERS = 'MINIFLARE_QUEUE_CONSUMERS'
const PRODUCERS = 'MINIFLARE_QUEUE_PRODUCERS'
const WORKER = 'MINIFLARE_WORKER_'
const QUEUE = '${QUEUE_BINDING}'
const RETRIES = 2
const WAKE_MS = 1000
/** As the service keeps messages that nobody takes. */
const RETENTION_MS = 4 * 86400000
const MESSAGE_BYTES_MAX = 128000
const DELAY_SECONDS_MAX = 86400
const FORMATS = ['text', 'json', 'bytes', 'v8']
const FAILED = { outcome: 'exception', retryBatch: { retry: false } }

function base64(bytes) {
  let text = ''
  for (let start = 0; start < bytes.length; start += 32768)
    text += String.fromCharCode(...bytes.subarray(start, start + 32768))
  return btoa(text)
}

function isDelay(request) {
  const seconds = Number(request.headers.get('X-Msg-Delay-Secs') ?? 0)
  return Number.isInteger(seconds) && seconds >= 0 && seconds <= DELAY_SECONDS_MAX
}

export class QueueBrokerObject extends Broker {
  #storage
  #consumers
  #producers

  constructor(state, env) {
    const settled = (...event) => this.#settle(...event)
    const workers = Object.entries(env)
      .filter(([name]) => name.startsWith(WORKER))
      .map(([name, worker]) => [name, {
        async queue(queue, messages, metadata) {
          let response = FAILED
          try {
            response = await worker.queue(queue, messages, metadata)
            return response
          } finally {
            await settled(queue, messages, response)
          }
        },
      }])
    // Dead letters go to the broker of their queue, which is another service's.
    const queues = { idFromName: (name) => name, get: (name) => env[QUEUE + name] }
    super(state, { ...env, ...Object.fromEntries(workers), MINIFLARE_OBJECT: queues })
    this.#storage = state.storage
    this.#consumers = env[CONSUMERS] ?? {}
    this.#producers = Object.values(env[PRODUCERS] ?? {})
    state.blockConcurrencyWhile(() => this.#restore())
  }

  async fetch(request) {
    const name = request.cf?.miniflare?.name
    const { pathname } = new URL(request.url)
    if (pathname === '/metrics') return this.#metrics()
    if (request.method !== 'POST') return super.fetch(request)
    if (pathname === '/batch') return this.#accept(name, request, (await request.clone().json()).messages)
    if (pathname !== '/message') return super.fetch(request)
    const bytes = new Uint8Array(await request.clone().arrayBuffer())
    const contentType = request.headers.get('X-Msg-Fmt') ?? 'v8'
    // The broker has the words for what is wrong.
    if (bytes.length > MESSAGE_BYTES_MAX || !FORMATS.includes(contentType) || !isDelay(request)) return super.fetch(request)
    return this.#accept(name, request, [{ contentType, body: base64(bytes) }])
  }

  async #metrics() {
    const kept = [...(await this.#storage.list({ prefix: 'm:' })).values()]
    return Response.json({
      backlogCount: kept.length,
      backlogBytes: kept.reduce((bytes, { body }) => bytes + Math.floor(body.length * 3 / 4), 0),
      oldestMessageTimestamp: kept.length === 0 ? 0 : Math.min(...kept.map(({ timestamp }) => timestamp)),
    })
  }

  async alarm() {
    if ((await this.#storage.list({ prefix: 'm:', limit: 1 })).size > 0) await this.#wake()
  }

  #wake() {
    return this.#storage.setAlarm(Date.now() + WAKE_MS)
  }

  async #accept(name, request, list) {
    const header = request.headers.get('X-Msg-Delay-Secs')
    const producer = this.#producers.find(({ queueName }) => queueName === name)
    const delay = header === null ? producer?.deliveryDelay ?? 0 : Number(header)
    const now = Date.now()
    const messages = list.map((message) => ({
      ...message,
      id: message.id ?? crypto.randomUUID().replaceAll('-', ''),
      timestamp: message.timestamp ?? now,
      delaySecs: message.delaySecs ?? delay,
    }))
    const kept = messages.map((message, order) => ['m:' + message.id, { ...message, due: now + message.delaySecs * 1000 + order / 1000 }])
    await this.#storage.put({ name, ...Object.fromEntries(kept) })
    await this.#wake()
    // Without a consumer it says so, and does nothing else.
    const answer = await this.#queue(name, messages, request.headers)
    if (!answer.ok) await this.#storage.delete(messages.map(({ id }) => 'm:' + id))
    return answer
  }

  #queue(name, messages, headers = {}) {
    const body = JSON.stringify({ messages })
    const fields = new Headers(headers)
    fields.delete('content-length')
    return super.fetch(new Request('http://queue/batch', { method: 'POST', body, headers: fields, cf: { miniflare: { name } } }))
  }

  async #settle(queue, messages, response) {
    const consumer = this.#consumers[queue] ?? {}
    const attemptsMax = (consumer.maxRetries ?? RETRIES) + 1
    const all = response.outcome !== 'ok' || response.retryBatch?.retry
    const retried = new Map(response.retryMessages?.map(({ msgId, delaySeconds }) => [msgId, delaySeconds]))
    for (const { id, attempts } of messages) {
      const key = 'm:' + id
      const kept = (all || retried.has(id)) && attempts < attemptsMax ? await this.#storage.get(key) : undefined
      const delay = retried.get(id) ?? response.retryBatch?.delaySeconds ?? consumer.retryDelay ?? 0
      if (kept === undefined) await this.#storage.delete(key)
      else await this.#storage.put(key, { ...kept, due: Date.now() + delay * 1000 })
    }
  }

  async #restore() {
    const name = await this.#storage.get('name')
    const all = await this.#storage.list({ prefix: 'm:' })
    const old = [...all].filter(([, { timestamp }]) => timestamp < Date.now() - RETENTION_MS).map(([key]) => key)
    for (const key of old) {
      all.delete(key)
      await this.#storage.delete(key)
    }
    if (this.#consumers[name] === undefined) return
    const kept = [...all.values()].sort((one, other) => one.due - other.due)
    if (kept.length === 0) return
    const now = Date.now()
    const messages = kept.map(({ due, ...message }) => ({ ...message, delaySecs: Math.max(0, Math.ceil((due - now) / 1000)) }))
    await this.#queue(name, messages)
  }
}
`
