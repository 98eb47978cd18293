import {
  asyncProperty,
  assert,
  constantFrom,
  dictionary,
  jsonValue,
  oneof,
  record,
  string,
  tuple,
} from 'fast-check'
import { expect, test } from 'vitest'

import { hosted } from './broker-harness.ts'

const SQS = [
  'CreateQueue', 'GetQueueUrl', 'ListQueues', 'GetQueueAttributes', 'SetQueueAttributes', 'SendMessage', 'SendMessageBatch',
  'DeleteMessage', 'DeleteMessageBatch', 'ChangeMessageVisibility', 'ChangeMessageVisibilityBatch', 'PurgeQueue', 'TagQueue',
  'UntagQueue', 'ListQueueTags', 'StartMessageMoveTask', 'ListMessageMoveTasks', 'ListDeadLetterSourceQueues',
] // prettier-ignore
const EVENTS = [
  'PutEvents', 'PutRule', 'DeleteRule', 'DescribeRule', 'ListRules', 'PutTargets', 'RemoveTargets', 'ListTargetsByRule',
  'EnableRule', 'DisableRule', 'CreateEventBus', 'DeleteEventBus', 'ListEventBuses', 'TestEventPattern', 'ListRuleNamesByTarget',
] // prettier-ignore
const SNS = [
  'CreateTopic', 'DeleteTopic', 'ListTopics', 'GetTopicAttributes', 'SetTopicAttributes', 'Subscribe', 'Unsubscribe',
  'ConfirmSubscription', 'ListSubscriptionsByTopic', 'GetSubscriptionAttributes', 'SetSubscriptionAttributes', 'Publish',
  'PublishBatch', 'TagResource', 'UntagResource', 'ListTagsForResource',
] // prettier-ignore
const FIELDS = [
  'QueueUrl', 'QueueName', 'Attributes', 'Entries', 'MessageBody', 'MessageAttributes', 'ReceiptHandle', 'VisibilityTimeout',
  'NextToken', 'MaxResults', 'Tags', 'TagKeys', 'SourceArn', 'Name', 'EventPattern', 'Rule', 'Targets', 'Ids', 'Event',
  'ScheduleExpression', 'EventBusName', 'AttributeNames', 'DelaySeconds',
] // prettier-ignore
const PARTS = [
  'Id', 'Arn', 'Input', 'InputPath', 'InputTransformer', 'MessageBody', 'Source', 'DetailType', 'Detail', 'Time', 'DataType',
  'StringValue', 'RedrivePolicy', 'FilterPolicy', 'ReceiptHandle', 'key', 'value', '__proto__', 'constructor',
] // prettier-ignore

const part = dictionary(
  oneof(constantFrom(...PARTS), string()),
  oneof(string(), jsonValue(), constantFrom('{}', '$.a', 'q', 1)),
)
const value = oneof(
  constantFrom('q', 'r', 'default', '{"a":["x"]}', 5, null),
  jsonValue(),
  part,
  tuple(part, part),
)
const json = dictionary(constantFrom(...FIELDS), value)
const form = dictionary(
  tuple(
    constantFrom(
      ...FIELDS,
      'TopicArn',
      'Endpoint',
      'Protocol',
      'Message',
      'Token',
      'PublishBatchRequestEntries',
      '__proto__',
    ),
    constantFrom(
      '',
      '.1',
      '.entry.1',
      '.member.1',
      '.1.Name',
      '.entry.1.key',
      '.entry.1.Value.DataType',
      '.constructor',
    ),
  ).map((names) => names.join('')),
  oneof(string(), constantFrom('arn:aws:sns:us-east-1:123456789012:t', 'lambda', 'String', '{')),
)

test('whatever a request holds, it is answered or refused, and never a fault of ours', async () => {
  await using host = await hosted()
  host.brokers.queues.ensure('q')
  const action = oneof(
    record({ service: constantFrom('AmazonSQS'), name: constantFrom(...SQS) }),
    record({ service: constantFrom('AWSEvents'), name: constantFrom(...EVENTS) }),
  )
  await assert(
    asyncProperty(action, json, async ({ service, name }, body) => {
      const response = await fetch(host.endpoint, {
        method: 'POST',
        headers: { 'x-amz-target': `${service}.${name}` },
        body: JSON.stringify(body),
      })
      expect([await response.text(), response.status < 500]).toEqual([expect.any(String), true])
    }),
    { numRuns: 600 },
  )
})

test('whatever a form holds, it is answered or refused, and never a fault of ours', async () => {
  await using host = await hosted()
  host.brokers.queues.ensure('q')
  const kind = oneof(
    record({ Action: constantFrom(...SNS), Version: constantFrom('2010-03-31') }),
    record({ Action: constantFrom(...SQS), Version: constantFrom('2012-11-05') }),
  )
  await assert(
    asyncProperty(kind, form, async (named, fields) => {
      const body = new URLSearchParams({ ...fields, ...named })
      const response = await fetch(host.endpoint, { method: 'POST', body })
      expect([await response.text(), response.status < 500]).toEqual([expect.any(String), true])
    }),
    { numRuns: 600 },
  )
})

test('a body that is no form and no JSON is refused as well', async () => {
  await using host = await hosted()
  await assert(
    asyncProperty(
      oneof(
        string(),
        jsonValue().map((one) => JSON.stringify(one).slice(0, -1)),
      ),
      constantFrom('AmazonSQS.ListQueues', 'AWSEvents.ListRules'),
      async (body, target) => {
        const response = await fetch(host.endpoint, {
          method: 'POST',
          headers: { 'x-amz-target': target },
          body,
        })
        expect(response.status).toBeLessThan(500)
        await response.text()
      },
    ),
  )
})
