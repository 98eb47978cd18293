import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import * as schemas from '@aws-lambda-powertools/parser/schemas'
import { describe, expect, test } from 'vitest'

import { listEvents, sampleEvent } from '../../../src/emulators/lambda/events/index.ts'

interface Schema {
  safeParse(event: unknown): { readonly success: boolean; readonly error?: unknown }
}

const SCHEMAS: Readonly<Record<string, Schema>> = {
  'aws:function-url': schemas.LambdaFunctionUrlSchema,
  'aws:http-api': schemas.APIGatewayProxyEventV2Schema,
  'aws:rest-api': schemas.APIGatewayProxyEventSchema,
  'aws:alb': schemas.AlbSchema,
  'aws:authorizer-token': schemas.APIGatewayTokenAuthorizerEventSchema,
  'aws:authorizer-http': schemas.APIGatewayRequestAuthorizerEventV2Schema,
  'aws:vpc-lattice': schemas.VpcLatticeV2Schema,
  'aws:sqs': schemas.SqsSchema,
  'aws:sns': schemas.SnsSchema,
  'aws:s3': schemas.S3Schema,
  'aws:eventbridge': schemas.EventBridgeSchema,
  'aws:schedule': schemas.EventBridgeSchema,
  'aws:cognito': schemas.PreSignupTriggerSchema,
  'aws:cognito-post-confirmation': schemas.PostConfirmationTriggerSchema,
  'aws:cognito-pre-authentication': schemas.PreAuthenticationTriggerSchema,
  'aws:cognito-post-authentication': schemas.PostAuthenticationTriggerSchema,
  'aws:cognito-pre-token': schemas.PreTokenGenerationTriggerSchemaV1,
  'aws:cognito-custom-message': schemas.CustomMessageTriggerSchema,
  'aws:cognito-migrate-user': schemas.MigrateUserTriggerSchema,
  'aws:cognito-pre-token-v2': schemas.PreTokenGenerationTriggerSchemaV2AndV3,
  'aws:cognito-define-auth': schemas.DefineAuthChallengeTriggerSchema,
  'aws:cognito-create-auth': schemas.CreateAuthChallengeTriggerSchema,
  'aws:cognito-verify-auth': schemas.VerifyAuthChallengeTriggerSchema,
  'aws:cognito-custom-email-sender': schemas.CustomEmailSenderTriggerSchema,
  'aws:alb-multi': schemas.AlbMultiValueHeadersSchema,
  'aws:authorizer-request': schemas.APIGatewayRequestAuthorizerEventSchema,
  'aws:s3-delete': schemas.S3Schema,
  'aws:sqs-fifo': schemas.SqsSchema,
  'aws:dynamodb-modify': schemas.DynamoDBStreamSchema,
  'aws:dynamodb-remove': schemas.DynamoDBStreamSchema,
  'aws:cloudformation-delete': schemas.CloudFormationCustomResourceDeleteSchema,
  'aws:dynamodb': schemas.DynamoDBStreamSchema,
  'aws:kinesis': schemas.KinesisDataStreamSchema,
  'aws:logs': schemas.CloudWatchLogsSchema,
  'aws:msk': schemas.KafkaMskEventSchema,
  'aws:kafka': schemas.KafkaSelfManagedEventSchema,
  'aws:firehose': schemas.KinesisFirehoseSchema,
  'aws:ses': schemas.SesSchema,
  'aws:s3-eventbridge': schemas.S3EventNotificationEventBridgeSchema,
  'aws:cloudformation': schemas.CloudFormationCustomResourceCreateSchema,
}

describe('samples are what Powertools for Lambda takes for events of their sources', () => {
  test.each(Object.entries(SCHEMAS))('%s', (source, schema) => {
    const { error } = schema.safeParse(sampleEvent(source))
    expect(error).toBeUndefined()
    // The schema says no to something, so its yes means something.
    expect(schema.safeParse({}).success).toBe(false)
  })

  test('aws:websocket-connect, with the two fields of an authorizer that the schema wants of every event', () => {
    const event = { ...sampleEvent('aws:websocket-connect'), type: 'REQUEST', methodArn: 'arn' }
    const nulls = { queryStringParameters: null, multiValueQueryStringParameters: null }
    const { error } = schemas.APIGatewayProxyWebsocketEventSchema.safeParse({ ...event, ...nulls })
    expect(error).toBeUndefined()
  })
})

const EVENTS = join(import.meta.dirname, '../../../../shared/fixtures/lambda/events')

/** A sample has no field that the recorded event lacks; what only some events have is left to them. */
const RECORDED: Readonly<Record<string, string>> = {
  'aws:sqs': 'sqs-event.json',
  'aws:sns': 'sns-event.json',
  'aws:kinesis': 'kinesis-event.json',
  'aws:firehose': 'kinesis-firehose-event.json',
  'aws:mq': 'activemq-event.json',
  'aws:logs': 'cloudwatch-logs-event.json',
  'aws:cognito-post-confirmation': 'cognito-event-userpools-postconfirmation.json',
  'aws:cognito-pre-authentication': 'cognito-event-userpools-preauthentication.json',
  'aws:secretsmanager': 'secretsmanager-secret-rotation-event.json',
  'aws:s3-batch': 's3-batch-job-event-request-1.0.json',
  'aws:codepipeline': 'codepipeline-job-event.json',
  'aws:authorizer-token': 'apigw-custom-auth-request.json',
}

const isThere = existsSync(EVENTS)

describe.skipIf(!isThere)(
  `samples have the shape of recorded events${isThere ? '' : ' (skipped: no recorded events here)'}`,
  () => {
    test.each(Object.entries(RECORDED))('%s has the fields of %s', (source, file) => {
      const recorded = JSON.parse(readFileSync(join(EVENTS, file), 'utf8')) as Record<string, unknown>
      expect(Object.keys(recorded)).toEqual(expect.arrayContaining(Object.keys(sampleEvent(source))))
      expect(fields(recorded)).toEqual(expect.arrayContaining(fields(sampleEvent(source))))
    })
  },
)

/** `Records.0.eventSource`, without the maps of free names. */
function fields(value: unknown, path = ''): string[] {
  if (/(headers|Headers|Attributes|properties|validationData|ResourceProperties)$/.test(path)) return [path]
  if (typeof value !== 'object' || value === null) return [path]
  const entries = Array.isArray(value)
    ? [['0', value[0]] as const].filter(([, one]) => one !== undefined)
    : Object.entries(value)
  return entries.length === 0
    ? [path]
    : entries.flatMap(([name, one]) => fields(one, path === '' ? name : `${path}.${name}`))
}

test('every source but those that have no schema is held against one', () => {
  const without = [
    'aws:websocket',
    'aws:websocket-connect',
    'aws:mq',
    'aws:rabbitmq',
    'aws:documentdb',
    'aws:s3-batch',
    'aws:alarm',
    'aws:secretsmanager',
    'aws:codepipeline',
    'aws:appsync',
    'aws:iot',
    'aws:websocket-disconnect',
  ]
  const sources = listEvents().map(({ source }) => source)
  expect(sources.filter((source) => !(source in SCHEMAS))).toEqual(without)
})
