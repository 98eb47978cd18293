import { gatewaySamples } from './gateway.ts'
import { httpSamples } from './http.ts'
import { messageSamples } from './messages.ts'
import { ACCOUNT, getPath, REGION, type Json, type JsonObject, type Sample } from './sample.ts'
import { serviceSamples } from './services.ts'
import { streamSamples } from './streams.ts'

const KNOWN: readonly Sample[] = [
  ...httpSamples,
  ...gatewaySamples,
  ...messageSamples,
  ...streamSamples,
  ...serviceSamples,
]

/** Events that another one turns into by a few changes. */
export const variantSamples: readonly Sample[] = [
  variant('aws:alb', {
    source: 'aws:alb-multi',
    description: 'A request through an Application Load Balancer, with multi-value headers',
    short: { body: { path: 'body' }, path: { path: 'path' }, method: { path: 'httpMethod' } },
    change: multiValued,
  }),
  variant('aws:rest-api', {
    source: 'aws:authorizer-request',
    description: 'A REST API asks an authorizer about a request',
    short: {},
    change: (event) => {
      const arn = `arn:aws:execute-api:${REGION}:${ACCOUNT}:abcdefghij/prod/GET/people/42`
      const { body: _body, isBase64Encoded: _isEncoded, ...request } = event
      return { type: 'REQUEST', methodArn: arn, ...request, stageVariables: {} }
    },
  }),
  variant('aws:websocket-connect', {
    source: 'aws:websocket-disconnect',
    description: 'Somebody has left a WebSocket API of API Gateway',
    short: { routeKey: { path: 'requestContext.routeKey' } },
    change: (event) => ({
      ...event,
      requestContext: {
        ...objectAt(event, 'requestContext'),
        routeKey: '$disconnect',
        eventType: 'DISCONNECT',
        disconnectStatusCode: 1005,
        disconnectReason: 'Client-side close frame status not set',
      },
    }),
  }),
  variant('aws:s3', {
    source: 'aws:s3-delete',
    description: 'An object was removed from an S3 bucket',
    change: (event) => {
      const record = objectAt(event, 'Records.0')
      const { size: _size, eTag: _eTag, ...object } = objectAt(event, 'Records.0.s3.object')
      const s3 = { ...objectAt(record, 's3'), object }
      return { Records: [{ ...record, eventName: 'ObjectRemoved:Delete', s3 }] }
    },
  }),
  variant('aws:sqs', {
    source: 'aws:sqs-fifo',
    description: 'One message of an SQS FIFO queue',
    change: (event) => {
      const record = objectAt(event, 'Records.0')
      const attributes: JsonObject = {
        ...objectAt(record, 'attributes'),
        MessageGroupId: 'orders',
        MessageDeduplicationId: 'order-42',
        SequenceNumber: '18849496460467696128',
      }
      const eventSourceARN = `arn:aws:sqs:${REGION}:${ACCOUNT}:orders.fifo`
      return { Records: [{ ...record, attributes, eventSourceARN }] }
    },
  }),
  variant('aws:dynamodb', {
    source: 'aws:dynamodb-modify',
    description: 'An item of a DynamoDB table was changed (stream record)',
    change: (event) =>
      streamRecord(event, 'MODIFY', { OldImage: { id: { N: '42' }, name: { S: 'Augusta' } } }),
  }),
  variant('aws:dynamodb', {
    source: 'aws:dynamodb-remove',
    description: 'An item of a DynamoDB table was removed (stream record)',
    change: (event) => {
      const { NewImage: image = {}, ...rest } = objectAt(event, 'Records.0.dynamodb')
      return {
        Records: [
          { ...objectAt(event, 'Records.0'), eventName: 'REMOVE', dynamodb: { ...rest, OldImage: image } },
        ],
      }
    },
  }),
  variant('aws:cloudformation', {
    source: 'aws:cloudformation-delete',
    description: 'CloudFormation wants a custom resource removed',
    change: (event) => ({ ...event, RequestType: 'Delete', PhysicalResourceId: 'example-1' }),
  }),
]

interface Variant extends Omit<Sample, 'make' | 'settle'> {
  readonly change: (event: JsonObject) => JsonObject
}

/** Short names and corrections are those of the event it is made of, unless it has its own. */
function variant(of: string, { change, ...own }: Variant): Sample {
  const base = KNOWN.find(({ source }) => source === of)
  if (base === undefined) throw new Error(`there is no sample of ${of}`)
  return { ...base, ...own, make: (now) => change(base.make(now)) }
}

function objectAt(event: JsonObject, path: string): JsonObject {
  const found = getPath(event, path)
  return typeof found === 'object' && found !== null && !Array.isArray(found) ? found : {}
}

function multiValued(event: JsonObject): JsonObject {
  const { headers: _headers, queryStringParameters: _query, ...rest } = event
  const lists = (path: string): JsonObject =>
    Object.fromEntries(
      Object.entries(objectAt(event, path)).map(([name, value]): [string, Json] => [name, [value]]),
    )
  return {
    ...rest,
    multiValueQueryStringParameters: lists('queryStringParameters'),
    multiValueHeaders: lists('headers'),
  }
}

function streamRecord(event: JsonObject, eventName: string, images: JsonObject): JsonObject {
  const dynamodb = { ...objectAt(event, 'Records.0.dynamodb'), ...images }
  return { Records: [{ ...objectAt(event, 'Records.0'), eventName, dynamodb }] }
}
