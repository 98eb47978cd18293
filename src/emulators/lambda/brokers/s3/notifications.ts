import { errorMessage } from '../../../../core/errors.ts'
import type { SocketFetcher } from '../../../../core/fetcher.ts'
import type { Logger } from '../../../../core/log.ts'
import { discard } from '../../../../forward/request-body.ts'
import { readBody } from '../../request-body.ts'
import type { Listener } from '../../service/service.ts'
import { send } from '../answer.ts'
import type { Deliver } from '../deliver.ts'
import type { NewEvent } from '../events/bus-event.ts'
import { objectEvent, type ObjectRecord } from './bus-events.ts'

const BODY_BYTES_MAX = 8 * 1024 * 1024

export interface NotificationsOptions {
  readonly log: Logger
  readonly deliver: Deliver
  /** Publishes to the default bus. */
  readonly publish: (event: NewEvent) => void
  readonly now: () => number
}

/** What S3 servers tell of their objects, for functions that listen, and for rules. */
export class Notifications {
  readonly #options: NotificationsOptions
  #listeners: readonly Listener<'s3'>[] = []
  readonly fetcher: SocketFetcher

  constructor(options: NotificationsOptions) {
    this.#options = options
    this.fetcher = {
      async handle(incoming, outgoing) {
        const body = await readBody(incoming, BODY_BYTES_MAX)
        // MinIO asks first whether somebody is there.
        const records = body === undefined ? [] : recordsOf(body.toString())
        if (records === undefined) {
          send(outgoing, { status: 400, type: 'text/plain', text: 'expected {"Records":[…]} of S3\n' })
          return discard(incoming)
        }
        await take(records)
        send(outgoing, { status: 200, type: 'text/plain', text: '' })
      },
    }
    const take = (records: readonly ObjectRecord[]): Promise<void> => this.#take(records)
  }

  listen(listeners: readonly Listener<'s3'>[]): void {
    this.#listeners = listeners
  }

  /** Every record is an event of its own, as S3 sends them. */
  async #take(records: readonly ObjectRecord[]): Promise<void> {
    const { publish, now } = this.#options
    for (const record of records) {
      const event = objectEvent(record, now())
      if (event !== undefined) publish(event)
    }
    const sent = records.flatMap((record) =>
      this.#listeners
        .filter((listener) => wants(listener, record))
        .map((listener) => this.#send(listener, record)),
    )
    await Promise.all(sent)
  }

  async #send({ function: reference }: Listener<'s3'>, { bucket, written }: ObjectRecord): Promise<void> {
    try {
      await this.#options.deliver(reference, { body: JSON.stringify({ Records: [written] }) })
    } catch (error) {
      const message = `bucket ${bucket}: ${reference} did not get an event: ${errorMessage(error)}`
      this.#options.log.warn('bucket.deliver', { bucket, message })
    }
  }
}

function wants({ source }: Listener<'s3'>, { eventName, bucket, key }: ObjectRecord): boolean {
  const { enabled = true, events, prefix = '', suffix = '' } = source
  return (
    enabled &&
    source.bucket === bucket &&
    events.some((event) => isOfKind(eventName, event)) &&
    key.startsWith(prefix) &&
    key.endsWith(suffix)
  )
}

/** `s3:ObjectCreated:*` stands for all that begin so. */
function isOfKind(eventName: string, wanted: string): boolean {
  const kind = wanted.replace(/^s3:/, '')
  return kind.endsWith('*') ? eventName.startsWith(kind.slice(0, -1)) : eventName === kind
}

/** `{ Records: […] }`, as S3 says it and MinIO's webhook does; undefined for anything else. */
function recordsOf(text: string): readonly ObjectRecord[] | undefined {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    return undefined
  }
  const { Records: records } = objectOf(content)
  if (!Array.isArray(records)) return undefined
  const all: readonly unknown[] = records
  return all.map((one) => recordOf(objectOf(one)))
}

/** MinIO writes `s3:ObjectCreated:Put` where S3 writes `ObjectCreated:Put`. */
function recordOf(record: Readonly<Record<string, unknown>>): ObjectRecord {
  const eventName = textOf(record['eventName']).replace(/^s3:/, '')
  const s3 = objectOf(record['s3'])
  return {
    eventName,
    bucket: textOf(objectOf(s3['bucket'])['name']),
    key: decoded(textOf(objectOf(s3['object'])['key'])),
    written: { ...record, eventSource: 'aws:s3', eventName },
  }
}

/** Keys are encoded as in a form: a space is `+`. */
function decoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '))
  } catch {
    return key
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
