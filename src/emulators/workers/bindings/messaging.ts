import type { Config } from '../configuration.ts'
import type { Sender } from '../miniflare.ts'
import { defined, isOwn, keyed, type BindingInputs, type Mapped } from './inputs.ts'

type Consumer = NonNullable<Config['queues']['consumers']>[number]

/** Queues: what is sent, and what is taken from them. */
export function queues(inputs: BindingInputs): Mapped {
  const { config } = inputs
  const consumers = config.queues.consumers ?? []
  const taken = consumers.filter((consumer) => takes(inputs, consumer))
  return {
    options: {
      queueProducers: keyed(config.queues.producers, ({ queue, delivery_delay }) => ({
        queueName: queue,
        deliveryDelay: delivery_delay,
      })),
      queueConsumers: Object.fromEntries(
        taken.map((consumer) => [
          consumer.queue,
          {
            maxBatchSize: consumer.max_batch_size,
            maxBatchTimeout: consumer.max_batch_timeout,
            maxRetries: consumer.max_retries,
            // A queue that is its own would never be empty; miniflare refuses it.
            deadLetterQueue:
              consumer.dead_letter_queue === consumer.queue ? undefined : consumer.dead_letter_queue,
            retryDelay: consumer.retry_delay,
          },
        ]),
      ),
    },
    warnings: [...consumers.flatMap((consumer) => consumerWarnings(inputs, consumer)), ...unread(inputs)],
  }
}

/** One worker alone gets a queue's messages; of several the first by name does. */
function takes(inputs: BindingInputs, consumer: Consumer): boolean {
  return rival(inputs, consumer) === undefined
}

function rival({ config, name, neighbours }: BindingInputs, { queue }: Consumer): string | undefined {
  const own = name ?? config.name ?? ''
  const others = [...(neighbours ?? [])].filter(
    ([neighbour, other]) => neighbour < own && consumed(other).includes(queue),
  )
  return others[0]?.[0]
}

function consumed(config: Config): readonly string[] {
  return (config.queues.consumers ?? []).map(({ queue }) => queue)
}

function consumerWarnings(inputs: BindingInputs, consumer: Consumer): readonly string[] {
  const { queue, dead_letter_queue, max_concurrency } = consumer
  const first = rival(inputs, consumer)
  const list: readonly (readonly [boolean, string])[] = [
    [first !== undefined, `the queue ${queue} is consumed by ${first} too, which alone gets its messages`],
    [dead_letter_queue === queue, `the queue ${queue} cannot be its own dead letter queue: it has none`],
    [(max_concurrency ?? 1) > 1, `the queue ${queue} has one batch at a time: max_concurrency has no effect`],
  ]
  return list.filter(([applies]) => applies).map(([, text]) => text)
}

/** Messages to a queue without a consumer wait for one; nobody may have meant that. */
function unread({ config, neighbours }: BindingInputs): readonly string[] {
  if (neighbours === undefined) return []
  const read = new Set([config, ...neighbours.values()].flatMap(consumed))
  const producers = (config.queues.producers ?? []).map(({ queue }) => queue)
  const dead = (config.queues.consumers ?? []).flatMap(({ dead_letter_queue }) => dead_letter_queue ?? [])
  return [...new Set([...producers, ...dead])]
    .filter((queue) => !read.has(queue))
    .map((queue) => `no worker here consumes the queue ${queue}: its messages wait`)
}

/** Workflows whose class this worker exports. */
export function workflows({ config }: BindingInputs): Mapped {
  const own = config.workflows.filter(({ script_name }) => isOwn(config, script_name))
  if (own.length === 0) return {}
  return {
    options: {
      workflows: keyed(own, ({ name, class_name, limits }) =>
        defined({ name, className: class_name, ...engineOptions(config, limits) }),
      ),
    },
    warnings: own
      .filter(({ schedules }) => schedules !== undefined)
      .map(({ name }) => `the schedules of the workflow ${name} do not start it here`),
  }
}

/** What the engine of a workflow is given; the same for everyone who is bound to it, because they share one. */
export function engineOptions(
  owner: Config,
  limits: Config['workflows'][number]['limits'],
): { stepLimit: number | undefined; compatibilityFlags: readonly string[] } {
  return { stepLimit: limits?.steps, compatibilityFlags: owner.compatibility_flags }
}

/** In development a mail becomes a file; that it was sent would be a lie elsewhere. */
export function email({ config, isShipped = false }: BindingInputs): Mapped {
  if (config.send_email.length === 0) return {}
  const reason = 'mail is sent by Cloudflare alone; ask a mail service of your own'
  if (isShipped) return { unavailable: config.send_email.map(({ name }) => ({ name, reason })) }
  return { options: { email: { send_email: config.send_email.map(senderOf) } } }
}

/** A key that is there without a value is one that workerd refuses. */
function senderOf(binding: Config['send_email'][number]): Sender {
  const { name, destination_address, allowed_destination_addresses, allowed_sender_addresses } = binding
  return {
    name,
    ...defined({ destination_address, allowed_destination_addresses, allowed_sender_addresses }),
  }
}

/** Pipelines take records and keep none. */
export function pipelines({ config }: BindingInputs): Mapped {
  if (config.pipelines.length === 0) return {}
  return {
    options: {
      pipelines: keyed(config.pipelines, ({ pipeline, stream, binding }) => ({
        pipeline: pipeline ?? stream ?? binding,
      })),
    },
    warnings: config.pipelines.map(
      ({ binding }) => `what is sent to the pipeline ${binding} is taken and written nowhere`,
    ),
  }
}
