import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'

import type { MessageType, StoredQueue, WorkerResources } from '../app/worker-state.ts'
import { FlexiError } from '../core/errors.ts'
import { paintFor } from '../terminal/paint.ts'
import { table } from '../terminal/table.ts'
import { FlexiCommand } from './flexi-command.ts'
import { bytesOf, inputOf, stateFlags, withState } from './state-options.ts'

export interface QueueInfo {
  readonly queue: string
  /** `WORKER: BINDING` */
  readonly producers: readonly string[]
  /** Workers. */
  readonly consumers: readonly string[]
  readonly deadLetterQueue?: string | undefined
}

function queuesOf(resources: readonly WorkerResources[]): QueueInfo[] {
  const uses = resources.flatMap(({ function: worker, queue }) => queue.map((one) => ({ ...one, worker })))
  const byName = new Map<string, (StoredQueue & { readonly worker: string })[]>()
  for (const use of uses) byName.set(use.id, [...(byName.get(use.id) ?? []), use])
  return [...byName].map(([queue, list]) => ({
    queue,
    producers: list
      .filter(({ produces }) => produces)
      .map(({ worker, binding }) => `${worker}: ${binding ?? ''}`),
    consumers: [...new Set(list.filter(({ consumes }) => consumes).map(({ worker }) => worker))],
    deadLetterQueue: list.find(({ deadLetterQueue }) => deadLetterQueue !== undefined)?.deadLetterQueue,
  }))
}

export class QueuesList extends FlexiCommand {
  static override readonly summary = 'List the queues that workers here send to or take from.'
  static override readonly examples = [
    { description: 'Of the folder you are in', command: '<%= config.bin %> queues list' },
  ]
  static override readonly flags = stateFlags

  async run(): Promise<readonly QueueInfo[]> {
    const { flags } = await this.parse(QueuesList)
    return await withState(flags, async ({ resources }) => {
      const list = queuesOf(resources)
      const rows = list.map(({ queue, producers, consumers }) => [
        queue,
        producers.join(', '),
        consumers.join(', '),
      ])
      const paint = paintFor(process.stdout, process.env)
      this.print(
        table(['QUEUE', 'PRODUCERS', 'CONSUMERS'], rows, { paint, indent: 0, columns: [paint.cyan] }),
      )
      return await Promise.resolve(list)
    })
  }
}

const queueArg = { ignoreStdin: true, description: 'the queue, or the binding of a producer' }

export class QueuesInfo extends FlexiCommand {
  static override readonly summary = 'Print who sends to a queue and who takes from it.'
  static override readonly description = 'How many messages wait is not known: the runtime does not tell.'
  static override readonly examples = [
    { description: 'Of one queue', command: '<%= config.bin %> queues info jobs' },
  ]
  static override readonly args = { queue: Args.string({ ...queueArg, required: true }) }
  static override readonly flags = stateFlags

  async run(): Promise<QueueInfo & { readonly running: boolean }> {
    const { args, flags } = await this.parse(QueuesInfo)
    const { findResource } = await import('../app/worker-state.ts')
    return await withState(flags, async ({ resources, running }) => {
      const { id } = findResource(resources, 'queue', { name: args.queue, by: 'QUEUE' })
      const info = queuesOf(resources).find(({ queue }) => queue === id)
      if (info === undefined) throw new Error(`${id} was found and is not there`)
      const rows = [
        ['producers', info.producers.join(', ') || 'none'],
        ['consumers', info.consumers.join(', ') || 'none'],
        ['dead letters', info.deadLetterQueue ?? 'dropped'],
        ['flexi dev', running ? 'runs' : 'does not run: messages are kept until it does'],
      ]
      const paint = paintFor(process.stdout, process.env)
      this.print(table(['QUEUE', info.queue], rows, { paint, indent: 0, columns: [paint.cyan] }))
      return await Promise.resolve({ ...info, running })
    })
  }
}

export class QueuesSend extends FlexiCommand {
  static override readonly summary = 'Send a message to a queue.'
  static override readonly description =
    'The message is an argument, a file, or standard input. While no "flexi dev" runs it is kept, and delivered by the next one.'
  static override readonly examples = [
    { description: 'JSON', command: `<%= config.bin %> queues send jobs '{"id":1}'` },
    {
      description: 'Text, in ten seconds',
      command: '<%= config.bin %> queues send jobs hello --content-type text --delay 10',
    },
    {
      description: 'Bytes of a file',
      command: '<%= config.bin %> queues send jobs --file photo.jpg --content-type bytes',
    },
  ]
  static override readonly args = {
    queue: Args.string({ ...queueArg, required: true }),
    message: Args.string({ ignoreStdin: true, description: 'the message' }),
  }
  static override readonly flags = {
    ...stateFlags,
    file: Flags.string({ char: 'f', helpValue: 'FILE', summary: 'Take the message from a file.' }),
    'content-type': Flags.option({
      options: ['json', 'text', 'bytes'] as const,
      default: 'json' as const,
      summary: 'What the consumer gets.',
    })(),
    delay: Flags.integer({ min: 0, max: 43_200, helpValue: 'SECONDS', summary: 'Deliver it so much later.' }),
  }

  async run(): Promise<{ readonly queue: string; readonly bytes: number }> {
    const { args, flags } = await this.parse(QueuesSend)
    const ways = 'Write it after the queue, name a file with --file, or pipe it in.'
    const body = await bytesOf(await inputOf({ text: args.message, file: flags.file, ways }))
    const contentType: MessageType = flags['content-type']
    if (contentType === 'json') refuseNoJson(body.toString())
    const { sendMessage } = await import('../app/worker-state.ts')
    return await withState(flags, async (state) => {
      const queue = await state.find('queue', { name: args.queue, by: 'QUEUE' })
      await sendMessage(queue, body, { contentType, delaySeconds: flags.delay })
      const isConsumed = state.resources.some(({ queue: uses }) =>
        uses.some(({ id, consumes }) => consumes && id === queue.id),
      )
      if (!isConsumed)
        this.logToStderr(`⚠ nobody here consumes ${queue.id}: the message is kept until somebody does`)
      const later = state.running ? '' : ', for the next "flexi dev"'
      this.print([`sent: ${body.byteLength} bytes to ${queue.id}${later}`])
      return { queue: queue.id, bytes: body.byteLength }
    })
  }
}

function refuseNoJson(text: string): void {
  try {
    JSON.parse(text)
  } catch (cause) {
    throw new FlexiError('FLEXI_USAGE', 'the message is no JSON', {
      hint: 'Quote it for the shell, or give --content-type text.',
      cause,
    })
  }
}
