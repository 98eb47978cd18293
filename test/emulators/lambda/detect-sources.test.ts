import { existsSync } from 'node:fs'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import type { FunctionConfig } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'

import { lambda } from '../../../src/emulators/lambda/index.ts'
import { localQueueUrls } from '../../../src/emulators/lambda/queue-urls.ts'
import { APP, detect, errors, optionsOf, patterns, warnings, type Found } from './detect-harness.ts'
import { openFunction, temporaryFolder } from './harness.ts'
import { zipOf } from './zip.ts'

const AWS = 'us-east-1:123456789012'

const optionOf = ({ functions }: Found, name: string, option: string): unknown =>
  functions.find((one) => one.name === name)?.options[option]

describe('a serverless.yml', () => {
  const service = (events: string, more = ''): Record<string, string> => ({
    'serverless.yml': `service: shop
provider: { name: aws, runtime: nodejs20.x }
functions:
  f:
    handler: app.handler
    events:
${events.replace(/^/gm, '      ')}
${more}
resources:
  Resources:
    Jobs: { Type: AWS::SQS::Queue, Properties: { QueueName: '\${self:service}-jobs' } }
    News: { Type: AWS::SNS::Topic, Properties: { TopicName: !Sub '\${self:service}-news' } }
    Items: { Type: AWS::DynamoDB::Table, Properties: { TableName: items } }
`,
    'app.mjs': APP,
  })

  const EVENTS: readonly (readonly [event: string, sources: readonly object[]])[] = [
    ['- schedule: rate(1 hour)', [{ type: 'schedule', expression: 'rate(1 hour)' }]],
    [
      '- schedule: { rate: [rate(1 hour), cron(0 12 * * ? *)], input: { a: 1 }, enabled: false, timezone: Asia/Tokyo }',
      [
        {
          type: 'schedule',
          expression: 'rate(1 hour)',
          input: { a: 1 },
          enabled: false,
          timezone: 'Asia/Tokyo',
        },
        {
          type: 'schedule',
          expression: 'cron(0 12 * * ? *)',
          input: { a: 1 },
          enabled: false,
          timezone: 'Asia/Tokyo',
        },
      ],
    ],
    [
      '- sqs: { arn: !GetAtt Jobs.Arn, batchSize: 20, maximumBatchingWindow: 5, maximumConcurrency: 3, functionResponseType: ReportBatchItemFailures, filterPatterns: [{ body: { a: [1] } }] }',
      [
        {
          type: 'sqs',
          queue: `arn:aws:sqs:${AWS}:shop-jobs`,
          batchSize: 20,
          window: 5,
          filters: [{ body: { a: [1] } }],
          reportBatchItemFailures: true,
          maximumConcurrency: 3,
        },
      ],
    ],
    ['- sqs: arn:aws:sqs:us-east-1:1:other', [{ type: 'sqs', queue: 'arn:aws:sqs:us-east-1:1:other' }]],
    [
      '- stream: { type: dynamodb, arn: { Fn::GetAtt: [Items, StreamArn] }, batchWindow: 1, destinations: { onFailure: !GetAtt Jobs.Arn } }',
      [
        {
          type: 'dynamodb',
          stream: 'items',
          window: 1,
          startingPosition: 'TRIM_HORIZON',
          onFailure: `arn:aws:sqs:${AWS}:shop-jobs`,
        },
      ],
    ],
    [
      '- stream: arn:aws:kinesis:us-east-1:1:stream/clicks',
      [{ type: 'kinesis', stream: 'clicks', startingPosition: 'TRIM_HORIZON' }],
    ],
    ['- sns: alerts', [{ type: 'sns', topic: 'alerts' }]],
    [
      '- sns: { arn: !Ref News, filterPolicy: { a: [b] }, redrivePolicy: { deadLetterTargetRef: dead } }',
      [
        {
          type: 'sns',
          topic: `arn:aws:sns:${AWS}:shop-news`,
          filterPolicy: { a: ['b'] },
          deadLetter: `arn:aws:sqs:${AWS}:dead`,
        },
      ],
    ],
    [
      '- eventBridge: { eventBus: orders, pattern: { source: [shop] }, schedule: rate(1 day), inputPath: $.detail }',
      [
        { type: 'schedule', expression: 'rate(1 day)' },
        { type: 'events', pattern: { source: ['shop'] }, bus: 'orders', inputPath: '$.detail' },
      ],
    ],
    [
      '- s3: { bucket: uploads, event: s3:ObjectRemoved:*, rules: [{ prefix: in/ }, { suffix: .jpg }] }',
      [{ type: 's3', bucket: 'uploads', events: ['s3:ObjectRemoved:*'], prefix: 'in/', suffix: '.jpg' }],
    ],
    ['- s3: uploads', [{ type: 's3', bucket: 'uploads', events: ['s3:ObjectCreated:*'] }]],
    [
      '- cloudwatchEvent: { event: { source: [aws.ec2] }, input: { a: 1 } }',
      [{ type: 'events', pattern: { source: ['aws.ec2'] }, input: { a: 1 } }],
    ],
  ]
  test.each(EVENTS)('%s', async (event, sources) => {
    const found = await detect(service(event))
    expect(errors(found)).toEqual([])
    expect(optionOf(found, 'f', 'sources')).toEqual(sources)
    expect(warnings(found)).toEqual(['AWS::DynamoDB::Table is not emulated: Items'])
  })

  test('queues and topics of its resources are there', async () => {
    const found = await detect(service('- sns: alerts'))
    expect(found.resources).toEqual([
      { kind: 'topic', name: 'alerts', subscriptions: [] },
      { kind: 'queue', name: 'shop-jobs', attributes: {} },
      { kind: 'topic', name: 'shop-news', subscriptions: [] },
    ])
  })

  test('what cannot be is told where it stands, also in a file of its own', async () => {
    const found = await detect({
      ...service('- ${file(event.yml)}'),
      'event.yml': 'schedule:\n  rate: now\n',
    })
    const fault = found.faults.find(({ place }) => place.file === `${found.directory}/event.yml`)
    expect(fault).toMatchObject({ place: { line: 2, column: 3 }, severity: 'warning' })
    expect(fault?.message).toContain('f: its source schedule delivers nothing')
    expect(found.functions).toHaveLength(1)
  })

  test('settings of a function', async () => {
    const found = await detect({
      'serverless.yml': `service: shop
provider: { name: aws, runtime: nodejs20.x, stage: prod, layers: [{ Ref: ToolsLambdaLayer }] }
functions:
  f:
    handler: app.handler
    reservedConcurrency: 3
    provisionedConcurrency: { executions: 2, alias: live }
    maximumRetryAttempts: 0
    maximumEventAge: 120
    onError: !GetAtt Jobs.Arn
    destinations: { onSuccess: my-other, onFailure: { type: sns, arn: arn:aws:sns:us-east-1:1:failed } }
    url: { invokeMode: RESPONSE_STREAM }
    environment:
      OTHER: !GetAtt MyDashotherLambdaFunction.Arn
      URL: !Join ['', [!Ref Jobs, '#1']]
  my-other: { handler: app.handler, name: renamed, vpc: { subnetIds: [a] }, layers: [] }
layers:
  tools: { path: layers/tools }
resources: { Resources: { Jobs: { Type: AWS::SQS::Queue } } }
`,
      'app.mjs': APP,
      'layers/tools/nodejs/a.js': '',
    })
    expect(found.functions[0]?.options).toEqual({
      handler: 'app.handler',
      runtime: 'nodejs20.x',
      functionName: 'shop-prod-f',
      reservedConcurrency: 3,
      provisionedConcurrency: 2,
      alias: 'live',
      maximumRetryAttempts: 0,
      maximumEventAge: 120,
      deadLetter: `arn:aws:sqs:${AWS}:Jobs`,
      onSuccess: `arn:aws:lambda:${AWS}:function:renamed`,
      onFailure: 'arn:aws:sns:us-east-1:1:failed',
      layers: [`${found.directory}/layers/tools`],
      url: { invokeMode: 'RESPONSE_STREAM' },
    })
    expect(found.functions[0]?.environment).toEqual({
      OTHER: `arn:aws:lambda:${AWS}:function:renamed`,
      URL: 'https://sqs.us-east-1.amazonaws.com/123456789012/Jobs#1',
    })
    expect(found.functions[1]?.options).toEqual({
      handler: 'app.handler',
      runtime: 'nodejs20.x',
      functionName: 'renamed',
    })
    expect(warnings(found)).toEqual(['vpc: there is no VPC here'])
  })

  test('functions with a websocket event share an API, whose routes come first', async () => {
    const found = await detect({
      'serverless.yml': `service: chat
provider: { name: aws, runtime: nodejs20.x, websocketsApiRouteSelectionExpression: $request.body.kind }
functions:
  door: { handler: app.handler, events: [{ websocket: { route: $connect, authorizer: { name: auth, identitySource: [route.request.header.Auth] } } }, { httpApi: GET /a }] }
  talk: { handler: app.handler, events: [{ websocket: { route: say, routeResponseSelectionExpression: $default } }, { websocket: $default }] }
  auth: { handler: app.handler }
`,
      'app.mjs': APP,
    })
    expect(found.faults).toEqual([])
    expect(found.routes[0]?.options).toMatchObject({
      frontEnd: 'websocket',
      apiId: 'websocket-chat',
      stage: 'dev',
      selection: '$request.body.kind',
      routes: {
        $connect: {
          function: 'door',
          authorizer: {
            kind: 'request',
            function: 'auth',
            identitySources: ['route.request.header.Auth'],
          },
        },
        say: { function: 'talk', responds: true },
        $default: { function: 'talk' },
      },
    })
    expect(patterns(found).at(-1)).toBe('GET /a')
  })
})

describe('APIs of a template', () => {
  test('a WebSocket API of ApiGatewayV2', async () => {
    const arn =
      '!Sub "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${F.Arn}/invocations"'
    const found = await detect({
      'template.yaml': `Resources:
  F: { Type: AWS::Serverless::Function, Properties: { FunctionName: eff, Handler: app.handler } }
  Chat: { Type: AWS::ApiGatewayV2::Api, Properties: { ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.a } }
  Connect:
    Type: AWS::ApiGatewayV2::Route
    Properties: { ApiId: !Ref Chat, RouteKey: $connect, Target: !Sub 'integrations/\${I}', AuthorizationType: CUSTOM, AuthorizerId: !Ref Auth }
  Say:
    Type: AWS::ApiGatewayV2::Route
    Properties: { ApiId: !Ref Chat, RouteKey: say, Target: !Sub 'integrations/\${I}', RouteResponseSelectionExpression: $default }
  Lost: { Type: AWS::ApiGatewayV2::Route, Properties: { ApiId: !Ref Chat, RouteKey: lost } }
  Auth:
    Type: AWS::ApiGatewayV2::Authorizer
    Properties: { ApiId: !Ref Chat, AuthorizerType: REQUEST, AuthorizerUri: ${arn}, IdentitySource: [route.request.querystring.t] }
  I: { Type: AWS::ApiGatewayV2::Integration, Properties: { ApiId: !Ref Chat, IntegrationType: AWS_PROXY, IntegrationUri: ${arn} } }
  Stage: { Type: AWS::ApiGatewayV2::Stage, Properties: { ApiId: !Ref Chat, StageName: v1, StageVariables: { x: y } } }
`,
      'app.mjs': APP,
    })
    expect(found.routes[0]?.options).toMatchObject({
      frontEnd: 'websocket',
      apiId: 'Chat',
      stage: 'v1',
      selection: '$request.body.a',
      stageVariables: { x: 'y' },
      routes: {
        $connect: {
          function: 'F',
          authorizer: { kind: 'request', function: 'F', identitySources: ['route.request.querystring.t'] },
        },
        say: { function: 'F', responds: true },
      },
    })
    expect(warnings(found)).toEqual(['lost leads to no function that runs here'])
  })

  test('authorizers and keys of routes that are written out, as CDK does', async () => {
    const found = await detect({
      'template.yaml': `Resources:
  F: { Type: AWS::Serverless::Function, Properties: { Handler: app.handler } }
  Rest: { Type: AWS::ApiGateway::RestApi, Properties: { Name: rest } }
  Guard:
    Type: AWS::ApiGateway::Authorizer
    Properties: { RestApiId: !Ref Rest, Type: REQUEST, AuthorizerUri: !GetAtt F.Arn, IdentitySource: 'method.request.header.A, context.path', AuthorizerResultTtlInSeconds: 0 }
  Key: { Type: AWS::ApiGateway::ApiKey, Properties: { Value: a-key } }
  Method:
    Type: AWS::ApiGateway::Method
    Properties: { RestApiId: !Ref Rest, ResourceId: !GetAtt Rest.RootResourceId, HttpMethod: GET, ApiKeyRequired: true, AuthorizationType: CUSTOM, AuthorizerId: !Ref Guard, Integration: { Type: AWS_PROXY, Uri: !GetAtt F.Arn } }
  Http: { Type: AWS::ApiGatewayV2::Api, Properties: { ProtocolType: HTTP } }
  Jwt:
    Type: AWS::ApiGatewayV2::Authorizer
    Properties: { ApiId: !Ref Http, AuthorizerType: JWT, IdentitySource: [$request.header.Authorization], JwtConfiguration: { Issuer: 'https://id.test', Audience: [a] } }
  I: { Type: AWS::ApiGatewayV2::Integration, Properties: { ApiId: !Ref Http, IntegrationUri: !GetAtt F.Arn } }
  Route:
    Type: AWS::ApiGatewayV2::Route
    Properties: { ApiId: !Ref Http, RouteKey: POST /a, Target: !Sub 'integrations/\${I}', AuthorizationType: JWT, AuthorizerId: !Ref Jwt, AuthorizationScopes: [read] }
  Signed:
    Type: AWS::ApiGatewayV2::Route
    Properties: { ApiId: !Ref Http, RouteKey: POST /b, Target: !Sub 'integrations/\${I}', AuthorizationType: AWS_IAM }
`,
      'app.mjs': APP,
    })
    expect(optionsOf(found, 'GET /')).toMatchObject({
      apiKeyRequired: true,
      apiKeys: [{ id: 'Key', value: 'a-key' }],
      authorizer: {
        kind: 'request',
        function: 'F',
        identitySources: ['method.request.header.A', 'context.path'],
        ttlSeconds: 0,
      },
    })
    expect(optionsOf(found, 'POST /a')).toMatchObject({
      authorizer: { kind: 'jwt', issuer: 'https://id.test', audience: ['a'], scopes: ['read'] },
    })
    expect(warnings(found)).toEqual(['signatures are not checked: nobody is asked who they are'])
  })

  const URI = 'arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${F.Arn}/invocations'

  test('an HTTP API that is described by OpenAPI', async () => {
    const found = await detect({
      'template.yaml': `Resources:
  F: { Type: AWS::Serverless::Function, Properties: { Handler: app.handler, Events: { A: { Type: HttpApi, Properties: { ApiId: !Ref Shop, Path: /known, Method: get } } } } }
  Shop:
    Type: AWS::Serverless::HttpApi
    Properties:
      DefinitionBody:
        openapi: 3.0.1
        security: [{ jwt: [] }]
        components:
          securitySchemes:
            jwt: { type: oauth2, x-amazon-apigateway-authorizer: { type: jwt, identitySource: $request.header.Authorization, jwtConfiguration: { issuer: 'https://id.test', audience: [shop] } } }
        paths:
          /known: { get: { x-amazon-apigateway-integration: { type: aws_proxy, uri: !Sub '${URI}', payloadFormatVersion: '2.0' } } }
          /items/{id}:
            x-amazon-apigateway-any-method: { x-amazon-apigateway-integration: { type: aws_proxy, uri: !Sub '${URI}', payloadFormatVersion: '2.0' } }
            get: { security: [], x-amazon-apigateway-integration: { type: aws_proxy, uri: !Sub '${URI}' } }
            put: { x-amazon-apigateway-integration: { type: http_proxy, uri: 'https://a.test' } }
`,
      'app.mjs': APP,
    })
    expect(patterns(found).toSorted()).toEqual(['ANY /items/{id}', 'GET /items/{id}', 'GET /known'])
    expect(optionsOf(found, 'GET /items/{id}')).toMatchObject({ apiId: 'Shop', payloadFormat: '1.0' })
    expect(optionsOf(found, 'GET /items/{id}')).not.toHaveProperty('authorizer')
    expect(optionsOf(found, 'ANY /items/{id}')).toMatchObject({
      payloadFormat: '2.0',
      authorizer: { kind: 'jwt', issuer: 'https://id.test', audience: ['shop'] },
    })
    expect(warnings(found)).toEqual(['put /items/{id} leads to no function that runs here'])
  })

  const DEFINITIONS = [
    'DefinitionUri: api.yml',
    'DefinitionBody: { Fn::Transform: { Name: AWS::Include, Parameters: { Location: ./api.yml } } }',
  ]
  test.each(DEFINITIONS)('a REST API in a file of its own, which is watched: %s', async (definition) => {
    const found = await detect({
      'template.yaml': `Resources:
  F: { Type: AWS::Serverless::Function, Properties: { Handler: app.handler } }
  Shop: { Type: AWS::Serverless::Api, Properties: { StageName: v1, ${definition} } }
`,
      'api.yml': `swagger: '2.0'
x-amazon-apigateway-binary-media-types: [image/png]
securityDefinitions:
  own: { type: apiKey, name: X-Token, in: header, x-amazon-apigateway-authorizer: { type: token, authorizerUri: !Sub '${URI}', authorizerResultTtlInSeconds: 0 } }
paths:
  /pets: { post: { operationId: makePet, security: [{ own: [] }], x-amazon-apigateway-integration: { type: AWS_PROXY, httpMethod: POST, uri: { 'Fn::Sub': '${URI}' } } }, options: { x-amazon-apigateway-integration: { type: mock } } }
`,
      'app.mjs': APP,
    })
    expect(found.faults).toEqual([])
    expect(found.files).toContain(`${found.directory}/api.yml`)
    expect(patterns(found)).toEqual(['POST /pets'])
    expect(optionsOf(found, 'POST /pets')).toMatchObject({
      frontEnd: 'rest-api',
      stage: 'v1',
      binaryMediaTypes: ['image/png'],
      operationName: 'makePet',
      authorizer: { kind: 'token', function: 'F', identitySource: 'X-Token', ttlSeconds: 0 },
    })
  })
})

describe('code that is not a folder', () => {
  const config = (directory: AbsolutePath): FunctionConfig => ({
    name: 'f',
    provider: 'lambda',
    directory,
    origin: { file: 'template.yaml', line: 4, column: 2 },
    environment: {},
    options: { handler: 'index.handler', runtime: 'nodejs20.x', archive: 'a.zip' },
  })

  test('a zip file is unpacked and served; another content of it is another configuration', async () => {
    const template =
      'Resources:\n  F: { Type: AWS::Serverless::Function, Properties: { Handler: index.handler, CodeUri: a.zip } }\n'
    const directory = await temporaryFolder({ 'template.yaml': template })
    const write = async (result: string): Promise<FunctionConfig | undefined> => {
      const text = `export const handler = async () => '${result}'\n`
      await writeFile(join(directory, 'a.zip'), zipOf([{ name: 'index.mjs', text }]))
      const found = await lambda.detect(directory, { environment: {} })
      expect(found.faults).toEqual([])
      expect(found.files).toContain(join(directory, 'a.zip'))
      return found.functions[0]
    }
    const first = await write('one')
    const second = await write('other')
    expect(second?.options).not.toEqual(first?.options)
    const options = second?.options as { readonly handler: string }
    await using opened = await openFunction({}, { handler: '', options })
    expect((await opened.invoke({})).value).toBe('other')
    await rm(directory, { recursive: true, force: true })
  })

  test('what serves stays unpacked, however many zip files have come to nothing since', async () => {
    const directory = await temporaryFolder({})
    const scope = { stateDirectory: directory } as Parameters<typeof lambda.open>[1]
    const open = async (text: string) => {
      await writeFile(join(directory, 'a.zip'), zipOf([{ name: 'index.mjs', text }]))
      return await lambda.open(config(directory), scope)
    }
    const folders = () => readdir(join(directory, 'archives', 'f'))
    const served = await open('serves')
    const [folder] = await folders()
    for (const text of ['1', '2', '3', '4']) await (await open(text))[Symbol.asyncDispose]()
    expect(await folders()).toContain(folder)
    await served[Symbol.asyncDispose]()
    await (await open('5'))[Symbol.asyncDispose]()
    expect(await folders()).not.toContain(folder)
    await rm(directory, { recursive: true, force: true })
  })

  const BAD: readonly (readonly [what: string, bytes: Buffer])[] = [
    ['no zip file', Buffer.from('PK, or so it says')],
    ['names that lead out', zipOf([{ name: '../out.mjs', text: '1' }])],
  ]
  test.each(BAD)('%s: a fault of its function, which names the file', async (_what, bytes) => {
    const directory = await temporaryFolder({})
    await writeFile(join(directory, 'a.zip'), bytes)
    const scope = { stateDirectory: directory } as Parameters<typeof lambda.open>[1]
    await expect(lambda.open(config(directory), scope)).rejects.toMatchObject({
      code: 'FLEXI_CONFIG',
      faults: [{ place: { line: 4 }, message: expect.stringContaining('a.zip') as unknown }],
    })
    expect(existsSync(join(directory, 'archives', 'out.mjs'))).toBe(false)
    await rm(directory, { recursive: true, force: true })
  })

  test('what SAM says of esbuild is what the source is compiled with', async () => {
    const found = await detect({
      'template.yaml': `Resources:
  F:
    Type: AWS::Serverless::Function
    Metadata: { BuildMethod: esbuild, BuildProperties: { Format: esm, EntryPoints: [app.js], Loader: [.sql=text], Define: { STAGE: '"dev"' }, Minify: true } }
    Properties: { Handler: app.handler, Runtime: nodejs20.x }
`,
      'app.js': '',
    })
    const options = found.functions[0]?.options as { readonly handler: string }
    expect(options).toMatchObject({
      esbuild: { format: 'esm', loader: { '.sql': 'text' }, define: { STAGE: '"dev"' }, minify: true },
    })
    await using opened = await openFunction(
      {
        'app.js': "import q from './q.sql'\nexport const handler = async () => q.trim() + STAGE\n",
        'q.sql': 'select 1\n',
      },
      { handler: 'app.handler', options },
    )
    expect((await opened.invoke({})).value).toBe('select 1dev')
  })
})

describe('a Terraform plan', () => {
  test('queues, mappings, rules, topics and layers, by what they refer to', async () => {
    const resource = (type: string, name: string, values: object): object => ({
      address: `${type}.${name}`,
      type,
      name,
      values,
    })
    const refers = (type: string, name: string, expressions: Record<string, readonly string[]>): object => ({
      address: `${type}.${name}`,
      expressions: Object.fromEntries(
        Object.entries(expressions).map(([key, references]) => [key, { references }]),
      ),
    })
    const FUNCTION = ['aws_lambda_function.f.arn', 'aws_lambda_function.f']
    const QUEUE = ['aws_sqs_queue.jobs.arn', 'aws_sqs_queue.jobs']
    const found = await detect({
      'plan.json': JSON.stringify({
        planned_values: {
          root_module: {
            resources: [
              resource('aws_lambda_function', 'f', {
                function_name: 'worker',
                handler: 'app.handler',
                runtime: 'nodejs20.x',
                filename: 'app.zip',
                reserved_concurrent_executions: 2,
                dead_letter_config: [{}],
              }),
              resource('archive_file', 'f', { source_dir: 'src', output_path: 'app.zip' }),
              resource('archive_file', 'l', { source_dir: 'layer', output_path: 'layer.zip' }),
              resource('aws_lambda_layer_version', 'l', { filename: 'layer.zip', layer_name: 'l' }),
              resource('aws_sqs_queue', 'jobs', {
                name: 'jobs',
                visibility_timeout_seconds: 40,
                fifo_queue: false,
              }),
              resource('aws_sns_topic', 'news', { name: 'news' }),
              resource('aws_sns_topic_subscription', 's', { protocol: 'sqs', filter_policy: null }),
              resource('aws_sns_topic_subscription', 't', {
                protocol: 'lambda',
                filter_policy: '{"a":["b"]}',
              }),
              resource('aws_lambda_event_source_mapping', 'm', {
                batch_size: 5,
                enabled: true,
                starting_position: null,
                filter_criteria: [{ filter: [{ pattern: '{"body":{"a":[1]}}' }] }],
                scaling_config: [],
              }),
              resource('aws_cloudwatch_event_rule', 'r', {
                schedule_expression: 'rate(1 hour)',
                event_pattern: null,
              }),
              resource('aws_cloudwatch_event_target', 'g', { input: '{"k":1}' }),
              resource('aws_lambda_alias', 'a', { name: 'live' }),
              resource('aws_scheduler_schedule', 'x', {
                schedule_expression: 'cron(0 9 * * ? *)',
                schedule_expression_timezone: 'UTC',
                name: null,
                target: [{ input: '{"t":1}' }],
              }),
              resource('aws_s3_bucket', 'b', { bucket: 'uploads' }),
              resource('aws_s3_bucket_notification', 'n', {
                lambda_function: [
                  { events: ['s3:ObjectCreated:*'], filter_prefix: '', filter_suffix: '.jpg' },
                ],
              }),
              resource('aws_lambda_function_event_invoke_config', 'e', {
                maximum_retry_attempts: 0,
                maximum_event_age_in_seconds: null,
                destination_config: [{ on_failure: [{}], on_success: [] }],
              }),
              resource('aws_pipes_pipe', 'p', {}),
            ],
          },
        },
        configuration: {
          root_module: {
            resources: [
              {
                address: 'aws_lambda_function.f',
                expressions: {
                  filename: { references: ['data.archive_file.f.output_path', 'data.archive_file.f'] },
                  layers: { references: ['aws_lambda_layer_version.l.arn', 'aws_lambda_layer_version.l'] },
                  dead_letter_config: [{ target_arn: { references: QUEUE } }],
                },
              },
              refers('aws_lambda_layer_version', 'l', {
                filename: ['data.archive_file.l.output_path', 'data.archive_file.l'],
              }),
              refers('aws_sns_topic_subscription', 's', {
                topic_arn: ['aws_sns_topic.news.arn', 'aws_sns_topic.news'],
                endpoint: QUEUE,
              }),
              refers('aws_sns_topic_subscription', 't', {
                topic_arn: ['aws_sns_topic.news.arn', 'aws_sns_topic.news'],
                endpoint: FUNCTION,
              }),
              refers('aws_lambda_event_source_mapping', 'm', {
                event_source_arn: QUEUE,
                function_name: FUNCTION,
              }),
              refers('aws_cloudwatch_event_target', 'g', {
                rule: ['aws_cloudwatch_event_rule.r.name', 'aws_cloudwatch_event_rule.r'],
                arn: FUNCTION,
              }),
              refers('aws_lambda_alias', 'a', { function_name: FUNCTION }),
              {
                address: 'aws_scheduler_schedule.x',
                expressions: { target: [{ arn: { references: FUNCTION } }] },
              },
              {
                address: 'aws_s3_bucket_notification.n',
                expressions: {
                  bucket: { references: ['aws_s3_bucket.b.id', 'aws_s3_bucket.b'] },
                  lambda_function: [{ lambda_function_arn: { references: FUNCTION } }],
                },
              },
              {
                address: 'aws_lambda_function_event_invoke_config.e',
                expressions: {
                  function_name: { references: FUNCTION },
                  destination_config: [{ on_failure: [{ destination: { references: QUEUE } }] }],
                },
              },
            ],
          },
        },
      }),
      'src/app.mjs': APP,
      'layer/nodejs/a.js': '',
    })
    const queue = `arn:aws:sqs:${AWS}:jobs`
    expect(errors(found)).toEqual([])
    expect(found.functions[0]?.options).toEqual({
      handler: 'app.handler',
      runtime: 'nodejs20.x',
      reservedConcurrency: 2,
      deadLetter: queue,
      layers: [`${found.directory}/layer`],
      alias: 'live',
      maximumRetryAttempts: 0,
      onFailure: queue,
      sources: [
        { type: 'sns', topic: `arn:aws:sns:${AWS}:news`, filterPolicy: { a: ['b'] }, name: 't' },
        { type: 'sqs', queue, name: 'm', enabled: true, batchSize: 5, filters: [{ body: { a: [1] } }] },
        { type: 'schedule', expression: 'rate(1 hour)', input: { k: 1 }, name: 'r' },
        { type: 'schedule', expression: 'cron(0 9 * * ? *)', timezone: 'UTC', input: { t: 1 }, name: 'x' },
        { type: 's3', bucket: 'uploads', events: ['s3:ObjectCreated:*'], suffix: '.jpg', name: 'n' },
      ],
    })
    expect(found.resources).toEqual([
      { kind: 'queue', name: 'jobs', attributes: { VisibilityTimeout: '40' } },
      { kind: 'topic', name: 'news', subscriptions: [{ protocol: 'sqs', endpoint: queue }] },
    ])
    expect(warnings(found)).toEqual(['aws_pipes_pipe is not read from a plan: aws_pipes_pipe.p'])
  })
})

describe('URLs of queues in variables', () => {
  const VARIABLES = {
    A: 'https://sqs.eu-west-1.amazonaws.com/123456789012/jobs',
    B: '["https://sqs.us-east-1.amazonaws.com/123456789012/a","https://sqs.us-east-1.amazonaws.com/999999999999/b"]',
    C: 'https://example.com/',
  }

  test('lead to flexi’s own queues; those of other accounts stay', () => {
    expect(localQueueUrls(VARIABLES, 'http://127.0.0.1:1/_flexi/aws')).toEqual({
      A: 'http://127.0.0.1:1/_flexi/aws/123456789012/jobs',
      B: '["http://127.0.0.1:1/_flexi/aws/123456789012/a","https://sqs.us-east-1.amazonaws.com/999999999999/b"]',
    })
  })

  test('lead to where the function’s own endpoint is, and nowhere else without one', () => {
    const own = { ...VARIABLES, AWS_ENDPOINT_URL: 'http://localhost:4566/' }
    expect(localQueueUrls(own, 'http://127.0.0.1:1')).toMatchObject({
      A: 'http://localhost:4566/123456789012/jobs',
    })
    expect(localQueueUrls(VARIABLES, undefined)).toEqual({})
  })
})
