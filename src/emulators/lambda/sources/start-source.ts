import { join } from 'node:path'

import { errorMessage } from '../../../core/errors.ts'
import type { ApiHost } from '../../../core/function.ts'
import { functionArn } from '../definition.ts'
import type { EventSource, QueueSource, ScheduleSource, StreamSource } from '../service/event-source.ts'
import type { Brokers, Invoker, Targets } from '../service/service.ts'
import { AwsClient, type AwsClientOptions } from './aws-client.ts'
import type { Clock } from './clock.ts'
import { streamEndpoint, streamVariable } from './endpoints.ts'
import { ownQueue, regionOfArn } from './queues/queue-access.ts'
import { QueuePoller } from './queues/queue-poller.ts'
import { remoteQueue } from './queues/remote-queue.ts'
import { parseSchedule } from './schedules/schedule.ts'
import type { ScheduleTimer } from './schedules/schedule-timer.ts'
import { scheduledEvent } from './schedules/scheduled-event.ts'
import { subjectOf, type SourceEntry } from './source-entry.ts'
import { SourceState } from './source-state.ts'
import { Checkpoints } from './streams/checkpoints.ts'
import { dynamoStream } from './streams/dynamodb.ts'
import { kinesisStream } from './streams/kinesis.ts'
import { StreamPoller } from './streams/stream-poller.ts'

/** What sources are run with. */
export interface SourceContext {
  readonly host: Pick<ApiHost, 'log' | 'stateDirectory' | 'control'>
  readonly invoker: Invoker
  readonly brokers: Pick<Brokers, 'queues'>
  readonly targets: Targets
  readonly clock: Clock
  readonly timer: ScheduleTimer
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly region: string
  /** By the entry's subject: how far its streams were read outlives a poller. */
  readonly checkpoints: Map<string, Promise<Checkpoints>>
}

/** A source that runs. */
export interface RunningSource {
  /** The function is another one now. */
  wake?(): void
  /** Resolves once what is under way is done. */
  stop(): Promise<void>
}

/** Sources that are asked, or that count time; the brokers tell of the others themselves. */
export type ActiveSource = QueueSource | StreamSource | ScheduleSource

export function isActive(source: EventSource): source is ActiveSource {
  return source.type !== 'events' && source.type !== 'sns' && source.type !== 's3'
}

export function sourceState({ host }: SourceContext, entry: SourceEntry): SourceState {
  const { source, functionName } = entry
  return new SourceState((problem) => {
    const what = subjectOf(source)
    if (problem === undefined) {
      host.log.info('source.well', { function: functionName, message: `${what} is read again` })
      return
    }
    host.log.warn('source.problem', { function: functionName, message: `${what}: ${problem}` })
  })
}

/** @throws FlexiError FLEXI_CONFIG for a schedule or a filter that cannot be. */
export async function startSource(
  context: SourceContext,
  entry: SourceEntry & { readonly source: ActiveSource },
  state: SourceState,
): Promise<RunningSource | undefined> {
  const { source } = entry
  switch (source.type) {
    case 'schedule':
      return startSchedule(context, entry, source)
    case 'sqs':
      return startQueue(context, { entry, source, state })
    case 'kinesis':
    case 'dynamodb':
      return await startStream(context, { entry, source, state })
  }
}

/** How each service is asked. */
const SERVICES = {
  sqs: { service: 'sqs', target: 'AmazonSQS', jsonVersion: '1.0' },
  kinesis: { service: 'kinesis', target: 'Kinesis_20131202', jsonVersion: '1.1' },
  dynamodb: { service: 'dynamodb', target: 'DynamoDBStreams_20120810', jsonVersion: '1.0' },
} as const satisfies Record<string, Pick<AwsClientOptions, 'service' | 'target' | 'jsonVersion'>>

interface Started<Source> {
  readonly entry: SourceEntry
  readonly source: Source
  readonly state: SourceState
}

function startSchedule(context: SourceContext, entry: SourceEntry, source: ScheduleSource): RunningSource {
  const { host, invoker, timer, region } = context
  const { functionName } = entry
  const fire = async (due: number): Promise<void> => {
    const name = source.name ?? functionName
    try {
      await invoker.invokeEvent(entry.function, scheduledEvent({ source, name, region, due }))
    } catch (error) {
      const message = `${source.expression} was due, and could not run: ${errorMessage(error)}`
      host.log.warn('schedule.fail', { function: functionName, message })
    }
  }
  const schedule = parseSchedule(source.expression, source.timezone)
  const added = timer.add({ schedule, fire: (due) => void fire(due) })
  const when =
    added.next === undefined
      ? 'is over: it runs no more'
      : `runs next at ${new Date(added.next).toISOString().replace('T', ' ').slice(0, 19)} UTC`
  host.log.info('schedule.start', {
    function: functionName,
    message: `${source.expression} ${when}`,
  })
  return {
    stop() {
      added.stop()
      return Promise.resolve()
    },
  }
}

function startQueue(context: SourceContext, { entry, source, state }: Started<QueueSource>): RunningSource {
  const { brokers, environment, invoker, clock } = context
  const { endpoint, queue } = source
  const region = regionOfArn(queue, context.region)
  const access =
    endpoint === undefined
      ? ownQueue(brokers.queues, queue, { region, timeoutMs: entry.timeoutMs })
      : remoteQueue(new AwsClient({ ...SERVICES.sqs, endpoint, region, environment }), queue, region)
  return new QueuePoller({ source, access, state, clock, target: { invoker, function: entry.function } })
}

async function startStream(
  context: SourceContext,
  { entry, source, state }: Started<StreamSource>,
): Promise<RunningSource | undefined> {
  const { host, environment, invoker, targets, clock } = context
  const endpoint = streamEndpoint(source, environment, host.control())
  if (endpoint === undefined) {
    const remedy = `set "endpoint" of this source, or ${streamVariable(source)}`
    state.failed('source', `it is not read, because nothing says where it is: ${remedy}`)
    return undefined
  }
  const region = regionOfArn(source.stream, context.region)
  const client = new AwsClient({ ...SERVICES[source.type], endpoint, region, environment })
  const open = source.type === 'kinesis' ? kinesisStream : dynamoStream
  const access = open(client, source.stream, region)
  const checkpoints = await checkpointsOf(context, entry)
  return new StreamPoller({
    source,
    access,
    state,
    clock,
    targets,
    environment,
    uuid: entry.uuid,
    checkpoints,
    target: { invoker, function: entry.function },
    functionArn: entry.function.startsWith('arn:')
      ? entry.function
      : functionArn(entry.function, context.region),
    log: host.log.child({ function: entry.functionName }),
  })
}

/** Opened once: a poller that follows another one sees what that has done. */
function checkpointsOf(
  { checkpoints, host, clock }: SourceContext,
  { subject }: SourceEntry,
): Promise<Checkpoints> {
  const known = checkpoints.get(subject)
  if (known !== undefined) return known
  const opened = Checkpoints.open(join(host.stateDirectory, 'lambda', 'streams', `${subject}.json`), clock)
  checkpoints.set(subject, opened)
  return opened
}
