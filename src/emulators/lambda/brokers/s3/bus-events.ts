import type { NewEvent } from '../events/bus-event.ts'

export interface ObjectRecord {
  /** `ObjectCreated:Put` */
  readonly eventName: string
  readonly bucket: string
  /** Decoded. */
  readonly key: string
  /** As the function gets it. */
  readonly written: Readonly<Record<string, unknown>>
}

interface Kind {
  readonly detailType: string
  readonly reason: string
}

const KINDS: Readonly<Record<string, Kind | undefined>> = {
  'ObjectCreated:Put': { detailType: 'Object Created', reason: 'PutObject' },
  'ObjectCreated:Post': { detailType: 'Object Created', reason: 'POST Object' },
  'ObjectCreated:Copy': { detailType: 'Object Created', reason: 'CopyObject' },
  'ObjectCreated:CompleteMultipartUpload': {
    detailType: 'Object Created',
    reason: 'CompleteMultipartUpload',
  },
  'ObjectRemoved:Delete': { detailType: 'Object Deleted', reason: 'DeleteObject' },
  'ObjectRemoved:DeleteMarkerCreated': { detailType: 'Object Deleted', reason: 'DeleteObject' },
}

/**
 * What a bucket tells EventBridge of the same; undefined for kinds that it does not tell.
 * Source: S3 user guide, EventBridge event message structure.
 */
export function objectEvent(
  { eventName, bucket, key, written }: ObjectRecord,
  now: number,
): NewEvent | undefined {
  const kind = KINDS[eventName]
  if (kind === undefined) return undefined
  const object = at(at(written, 's3'), 'object')
  const time = Date.parse(String(written['eventTime']))
  return {
    source: 'aws.s3',
    detailType: kind.detailType,
    at: Number.isNaN(time) ? now : time,
    resources: [`arn:aws:s3:::${bucket}`],
    detail: {
      version: '0',
      bucket: { name: bucket },
      object: {
        key,
        size: object['size'],
        etag: object['eTag'],
        'version-id': object['versionId'],
        sequencer: object['sequencer'],
      },
      'request-id': at(written, 'responseElements')['x-amz-request-id'],
      requester: at(written, 'userIdentity')['principalId'],
      'source-ip-address': at(written, 'requestParameters')['sourceIPAddress'],
      reason: kind.reason,
      ...(kind.reason === 'DeleteObject' ? { 'deletion-type': deletionType(eventName) } : {}),
    },
  }
}

function deletionType(eventName: string): string {
  return eventName.endsWith('DeleteMarkerCreated') ? 'Delete Marker Created' : 'Permanently Deleted'
}

function at(value: Readonly<Record<string, unknown>>, name: string): Readonly<Record<string, unknown>> {
  const part = value[name]
  return typeof part === 'object' && part !== null ? { ...part } : {}
}
