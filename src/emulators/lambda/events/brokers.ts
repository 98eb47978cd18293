import { ACCOUNT, REGION, type JsonObject, type Sample } from './sample.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** Events of brokers and of what hands on records in batches. */
export const brokerSamples: readonly Sample[] = [
  {
    source: 'aws:msk',
    description: 'One record of a topic of Amazon MSK',
    short: {
      value: { path: 'records.orders-0.0.value', encode: base64 },
      key: { path: 'records.orders-0.0.key', encode: base64 },
    },
    make: (now) => ({
      eventSource: 'aws:kafka',
      eventSourceArn: `arn:aws:kafka:${REGION}:${ACCOUNT}:cluster/orders/0a1b2c3d-1111-2222-3333-444455556666-7`,
      ...kafka(now),
    }),
  },
  {
    source: 'aws:kafka',
    description: 'One record of a topic of a Kafka cluster of your own',
    short: {
      value: { path: 'records.orders-0.0.value', encode: base64 },
      key: { path: 'records.orders-0.0.key', encode: base64 },
    },
    make: (now) => ({ eventSource: 'SelfManagedKafka', ...kafka(now) }),
  },
  {
    source: 'aws:mq',
    description: 'One message of a queue of Amazon MQ (ActiveMQ)',
    short: { data: { path: 'messages.0.data', encode: base64 } },
    make: activeMq,
  },
  {
    source: 'aws:rabbitmq',
    description: 'One message of a queue of Amazon MQ (RabbitMQ)',
    short: { data: { path: 'rmqMessagesByQueue.orders::/.0.data', encode: base64 } },
    make: rabbitMq,
  },
  {
    source: 'aws:documentdb',
    description: 'A document was inserted into a DocumentDB collection (change stream)',
    make: documentDb,
  },
  {
    source: 'aws:firehose',
    description: 'One record that Data Firehose wants transformed',
    short: { data: { path: 'records.0.data', encode: base64 } },
    make: (now) => ({
      invocationId: '0b6a3f0e-7c52-4d0f-9b1d-2e8f4a6c1d35',
      deliveryStreamArn: `arn:aws:firehose:${REGION}:${ACCOUNT}:deliverystream/people`,
      region: REGION,
      records: [
        {
          recordId: '49590338271490256608559692538361571095921575989136588898000000',
          approximateArrivalTimestamp: now.getTime(),
          data: base64('{"order":42}'),
        },
      ],
    }),
  },
]

function kafka(now: Date): JsonObject {
  return {
    bootstrapServers: `b-1.orders.abcdef.c1.kafka.${REGION}.amazonaws.com:9092`,
    records: {
      'orders-0': [
        {
          topic: 'orders',
          partition: 0,
          offset: 15,
          timestamp: now.getTime(),
          timestampType: 'CREATE_TIME',
          key: base64('42'),
          value: base64('{"order":42}'),
          headers: [{ kind: [...Buffer.from('order')] }],
        },
      ],
    },
  }
}

const BROKER = `arn:aws:mq:${REGION}:${ACCOUNT}:broker:orders:b-0a1b2c3d-1111-2222-3333-444455556666`

function activeMq(now: Date): JsonObject {
  return {
    eventSource: 'aws:mq',
    eventSourceArn: BROKER,
    messages: [
      {
        messageID: `ID:b-0a1b2c3d-1.mq.${REGION}.amazonaws.com-34859-1-4:12:1:1:3`,
        messageType: 'jms/text-message',
        timestamp: now.getTime(),
        deliveryMode: 1,
        correlationID: '',
        replyTo: 'null',
        destination: { physicalName: 'orders' },
        redelivered: false,
        type: '',
        expiration: 0,
        priority: 0,
        data: base64('{"order":42}'),
        brokerInTime: now.getTime(),
        brokerOutTime: now.getTime() + 1,
        properties: { kind: 'order' },
      },
    ],
  }
}

function rabbitMq(): JsonObject {
  return {
    eventSource: 'aws:rmq',
    eventSourceArn: BROKER,
    rmqMessagesByQueue: {
      'orders::/': [
        {
          basicProperties: {
            contentType: 'application/json',
            contentEncoding: null,
            headers: { kind: { bytes: [...Buffer.from('order')] } },
            deliveryMode: 1,
            priority: 0,
            correlationId: null,
            replyTo: null,
            expiration: '60000',
            messageId: null,
            timestamp: 'Jan 1, 2026, 12:00:00 AM',
            type: null,
            userId: 'orders',
            appId: null,
            clusterId: null,
            bodySize: 12,
          },
          redelivered: false,
          data: base64('{"order":42}'),
        },
      ],
    },
  }
}

function documentDb(now: Date): JsonObject {
  return {
    eventSourceArn: `arn:aws:rds:${REGION}:${ACCOUNT}:cluster:people`,
    eventSource: 'aws:docdb',
    events: [
      {
        event: {
          _id: { _data: '0163eeb6e7000000090100000009000041e1' },
          clusterTime: { $timestamp: { t: Math.floor(now.getTime() / 1000), i: 9 } },
          documentKey: { _id: { $oid: '63eeb6e7d418cd98afb1c1d7' } },
          fullDocument: { _id: { $oid: '63eeb6e7d418cd98afb1c1d7' }, name: 'Ada' },
          ns: { db: 'people', coll: 'customers' },
          operationType: 'insert',
        },
      },
    ],
  }
}
