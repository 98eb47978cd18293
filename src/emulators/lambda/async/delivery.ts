import { errorMessage, FlexiError } from '../../../core/errors.ts'
import type { Logger } from '../../../core/log.ts'
import type { TargetMessage, Targets } from '../service/service.ts'
import type { EventSettings, Outcome } from './async-event.ts'
import type { Clock } from '../sources/clock.ts'
import { datedKey, putObject } from './object-store.ts'
import { deadLetter, invocationRecord } from './record.ts'

export interface DeliveryOptions {
  readonly targets: Targets
  /** Of flexi: where S3 is. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly log: Logger
  readonly clock: Clock
}

/** For targets that do not say what to do. */
const HINT = 'Add it to the project, or name another in the function’s settings.'

/** Bytes that a target takes, by its service in an ARN. */
const BYTES_MAX: Readonly<Record<string, number>> = {
  sqs: 1024 * 1024,
  sns: 256 * 1024,
  events: 256 * 1024,
  lambda: 1024 * 1024,
}

/** Tells whoever is to hear of an event's end. Resolves with the ARNs that took it; never rejects: the others are warnings. */
export async function deliver(
  outcome: Outcome,
  settings: EventSettings,
  options: DeliveryOptions,
): Promise<readonly string[]> {
  const { onSuccess, onFailure, deadLetter: queue } = settings
  const isSuccess = outcome.condition === 'Success'
  const arn = isSuccess ? onSuccess : onFailure
  const sent: Promise<string | undefined>[] = []
  if (arn !== undefined && isItself(arn, settings)) warnOfLoop(outcome, options.log)
  else if (arn !== undefined) sent.push(sendRecord({ outcome, arn, settings }, options))
  if (!isSuccess && queue !== undefined) {
    const role = 'dead-letter queue'
    const take = (): Promise<void> => options.targets.send(queue, deadLetter(outcome))
    sent.push(send({ arn: queue, outcome, role }, options, take))
  }
  return (await Promise.all(sent)).flatMap((taken) => taken ?? [])
}

function isItself(arn: string, { functionArn }: EventSettings): boolean {
  const nameOf = (whole: string): string => whole.split(':').slice(0, 7).join(':')
  return nameOf(arn) === nameOf(functionArn)
}

/** The cloud does not take such a setting. */
function warnOfLoop({ event: { id, function: name } }: Outcome, log: Logger): void {
  const message = `${name} is its own destination, and was not told of the event ${id}. Name another function`
  log.warn('destination.loop', { function: name, message })
}

interface Sending {
  readonly arn: string
  readonly outcome: Outcome
  /** For people: what the function's configuration calls it. */
  readonly role: string
}

interface RecordSending extends Omit<Sending, 'role'> {
  readonly settings: EventSettings
}

function sendRecord(
  { outcome, arn, settings: { functionArn } }: RecordSending,
  options: DeliveryOptions,
): Promise<string | undefined> {
  const time = options.clock.now()
  const isSuccess = outcome.condition === 'Success'
  const service = arn.split(':')[2] ?? ''
  let body = invocationRecord(outcome, { functionArn, time })
  // As in the cloud: rather a failure without its payloads than none.
  if (!isSuccess && Buffer.byteLength(body) > (BYTES_MAX[service] ?? Infinity))
    body = invocationRecord(outcome, { functionArn, time, bare: true })
  const role = isSuccess ? 'onSuccess' : 'onFailure'
  return send({ arn, outcome, role }, options, () =>
    service === 's3'
      ? putObject({
          bucket: arn.split(':').slice(5).join(':'),
          key: datedKey(`aws/lambda/async/${outcome.event.function}`, time),
          body,
          environment: options.environment,
        })
      : options.targets.send(arn, targetMessage(body, service, { arn, functionArn, isSuccess })),
  )
}

function targetMessage(
  body: string,
  service: string,
  about: { readonly arn: string; readonly functionArn: string; readonly isSuccess: boolean },
): TargetMessage {
  if (service !== 'events') return { body }
  return {
    body,
    detailType: `Lambda Function Invocation Result - ${about.isSuccess ? 'Success' : 'Failure'}`,
    resources: [about.arn, about.functionArn],
  }
}

async function send(
  { arn, outcome, role }: Sending,
  { log }: DeliveryOptions,
  action: () => Promise<void>,
): Promise<string | undefined> {
  const { id, function: name } = outcome.event
  try {
    await action()
    return arn
  } catch (error) {
    const hint = (error instanceof FlexiError ? error.hint : undefined) ?? HINT
    const what = `the ${role} of ${name}, ${arn}, was not told of the event ${id}`
    const reason = errorMessage(error).replace(/\.$/, '')
    log.warn('destination.fail', { function: name, message: `${what}: ${reason}. ${hint}` })
    return undefined
  }
}
