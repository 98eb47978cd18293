import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { APP, detect, errors, optionsOf, patterns, warnings } from './detect-harness.ts'

const lambdaFunction = (path: string, asset: string, more: object = {}): object => ({
  Type: 'AWS::Lambda::Function',
  Properties: {
    Code: { S3Bucket: { 'Fn::Sub': 'cdk-${AWS::AccountId}' }, S3Key: 'x.zip' },
    Handler: 'index.handler',
    Runtime: 'nodejs20.x',
    ...more,
  },
  Metadata: { 'aws:cdk:path': path, 'aws:asset:path': asset, 'aws:asset:property': 'Code' },
})

const STACK = {
  Resources: {
    HelloD1A2B3C4: lambdaFunction('Shop/Api/Hello/Resource', 'asset.1', {
      Environment: { Variables: { OTHER: { Ref: 'OtherE5F6A7B8' } } },
    }),
    OtherE5F6A7B8: lambdaFunction('Shop/Other/Resource', 'asset.1'),
    CustomS3AutoDelete: lambdaFunction('Shop/Custom::S3AutoDelete/Handler', 'asset.2'),
    HttpApi: { Type: 'AWS::ApiGatewayV2::Api', Properties: { ProtocolType: 'HTTP' } },
    Route: {
      Type: 'AWS::ApiGatewayV2::Route',
      Properties: {
        ApiId: { Ref: 'HttpApi' },
        RouteKey: 'ANY /hello/{proxy+}',
        Target: { 'Fn::Join': ['', ['integrations/', { Ref: 'Integration' }]] },
      },
    },
    Integration: {
      Type: 'AWS::ApiGatewayV2::Integration',
      Properties: { IntegrationUri: { 'Fn::GetAtt': ['HelloD1A2B3C4', 'Arn'] } },
    },
    CDKMetadata: { Type: 'AWS::CDK::Metadata', Properties: {} },
  },
}

const CDK_EVENTS = {
  HelloD1A2B3C4: lambdaFunction('Shop/Hello/Resource', 'asset.1'),
  JobsA1: {
    Type: 'AWS::SQS::Queue',
    Properties: {
      RedrivePolicy: { deadLetterTargetArn: { 'Fn::GetAtt': ['DeadB2', 'Arn'] }, maxReceiveCount: 2 },
    },
  },
  DeadB2: { Type: 'AWS::SQS::Queue' },
  HelloSqsC3: {
    Type: 'AWS::Lambda::EventSourceMapping',
    Properties: {
      EventSourceArn: { 'Fn::GetAtt': ['JobsA1', 'Arn'] },
      FunctionName: { Ref: 'HelloD1A2B3C4' },
      BatchSize: 3,
    },
  },
  RuleD4: {
    Type: 'AWS::Events::Rule',
    Properties: {
      ScheduleExpression: 'rate(5 minutes)',
      State: 'ENABLED',
      Targets: [{ Arn: { 'Fn::GetAtt': ['HelloD1A2B3C4', 'Arn'] }, Id: 'Target0' }],
    },
  },
  BucketE5: { Type: 'AWS::S3::Bucket', Properties: { BucketName: 'uploads' } },
  BucketNotificationsF6: {
    Type: 'Custom::S3BucketNotifications',
    Properties: {
      BucketName: { Ref: 'BucketE5' },
      NotificationConfiguration: {
        LambdaFunctionConfigurations: [
          {
            Events: ['s3:ObjectCreated:*'],
            Filter: { Key: { FilterRules: [{ Name: 'suffix', Value: '.jpg' }] } },
            LambdaFunctionArn: { 'Fn::GetAtt': ['HelloD1A2B3C4', 'Arn'] },
          },
        ],
      },
    },
  },
}

describe('cdk.out', () => {
  test('event sources, as constructs write them', async () => {
    const found = await detect({
      'cdk.out/manifest.json': JSON.stringify({
        artifacts: {
          Shop: { type: 'aws:cloudformation:stack', properties: { templateFile: 'Shop.template.json' } },
        },
      }),
      'cdk.out/Shop.template.json': JSON.stringify({ Resources: CDK_EVENTS }),
      'cdk.out/asset.1/index.js': 'exports.handler = async () => 1\n',
    })
    expect(warnings(found)).toEqual(['AWS::S3::Bucket is not emulated: BucketE5'])
    expect(found.functions[0]?.options['sources']).toEqual([
      { type: 'sqs', queue: 'arn:aws:sqs:us-east-1:123456789012:JobsA1', name: 'HelloSqsC3', batchSize: 3 },
      { type: 'schedule', expression: 'rate(5 minutes)', name: 'RuleD4', enabled: true },
      {
        type: 's3',
        bucket: 'uploads',
        events: ['s3:ObjectCreated:*'],
        suffix: '.jpg',
        name: 'BucketNotificationsF6',
      },
    ])
    expect(found.resources?.map((one) => (one as { readonly name: string }).name)).toEqual([
      'JobsA1',
      'DeadB2',
    ])
  })

  test('functions with their assets, by the names of their constructs; stages of a pipeline too', async () => {
    const stack = (templateFile: string): object => ({
      type: 'aws:cloudformation:stack',
      properties: { templateFile },
    })
    const found = await detect({
      'cdk.out/manifest.json': JSON.stringify({
        version: '36.0.0',
        artifacts: {
          'Shop.assets': { type: 'cdk:asset-manifest', properties: { file: 'Shop.assets.json' } },
          Shop: stack('Shop.template.json'),
          'assembly-Prod': { type: 'cdk:cloud-assembly', properties: { directoryName: 'assembly-Prod' } },
        },
      }),
      'cdk.out/Shop.template.json': JSON.stringify(STACK),
      'cdk.out/asset.1/index.js': 'exports.handler = async () => 1\n',
      'cdk.out/assembly-Prod/manifest.json': JSON.stringify({ artifacts: { P: stack('P.template.json') } }),
      'cdk.out/assembly-Prod/P.template.json': JSON.stringify({
        Resources: { JobF00: lambdaFunction('Prod/P/Job/Resource', '../asset.1') },
      }),
    })
    expect(errors(found)).toEqual([])
    expect(found.functions).toMatchObject([
      { name: 'Api-Hello', directory: `${found.directory}/cdk.out/asset.1`, environment: { OTHER: 'Other' } },
      { name: 'Other', options: { handler: 'index.handler', runtime: 'nodejs20.x' } },
      { name: 'P-Job', directory: `${found.directory}/cdk.out/asset.1` },
    ])
    expect(found.routes).toMatchObject([
      { pattern: 'ANY /hello/{proxy+}', target: { kind: 'function', name: 'Api-Hello' } },
    ])
    expect(found.files).toHaveLength(4)
  })

  test('a folder of that name without a manifest is nothing', async () => {
    expect(await detect({ 'cdk.out/tree.json': '{}' })).toMatchObject({ functions: [], faults: [] })
  })
})

const planned = (address: string, values: object, index?: string): object => {
  const [type = '', name = ''] = address.replace('data.', '').split('.')
  return { address: index === undefined ? address : `${address}["${index}"]`, type, name, values }
}
const configured = (address: string, references: Readonly<Record<string, string>>): object => ({
  address,
  expressions: Object.fromEntries(
    Object.entries(references).map(([name, reference]) => [
      name,
      { references: [reference, reference.replace(/\.\w+$/, '')] },
    ]),
  ),
})

const PLAN = {
  format_version: '1.2',
  planned_values: {
    root_module: {
      resources: [
        planned('aws_lambda_function.hello', {
          function_name: 'hello-dev',
          handler: 'index.handler',
          runtime: 'nodejs20.x',
          timeout: 9,
          memory_size: 512,
          filename: './build/hello.zip',
          environment: [{ variables: { A: 'b' } }],
        }),
        planned('aws_lambda_function.lost', { runtime: 'nodejs20.x', handler: 'x.y', s3_key: 'k' }),
        planned('aws_lambda_function_url.hello', {
          cors: [{ allow_origins: ['*'], allow_methods: ['GET'], max_age: 5 }],
        }),
        planned('aws_apigatewayv2_api.api', {
          cors_configuration: [{ allow_origins: ['https://a.test'], allow_credentials: true }],
        }),
        planned('aws_apigatewayv2_route.get', { route_key: 'GET /hello/{id}' }),
        planned('aws_apigatewayv2_route.lost', { route_key: 'GET /lost' }),
        planned('aws_apigatewayv2_integration.hello', { payload_format_version: '2.0' }),
      ],
      child_modules: [
        {
          address: 'module.jobs',
          resources: [
            {
              ...planned('aws_lambda_function.job', {
                handler: 'index.handler',
                runtime: 'nodejs20.x',
                filename: 'src',
              }),
              address: 'module.jobs.aws_lambda_function.job["nightly"]',
            },
          ],
        },
      ],
    },
  },
  resource_changes: [
    {
      address: 'aws_lambda_function.hello',
      change: { after_unknown: { environment: [{ variables: { LATER: true } }] } },
    },
  ],
  prior_state: {
    values: {
      root_module: {
        resources: [
          planned('data.archive_file.hello', { source_dir: './src', output_path: './build/hello.zip' }),
        ],
      },
    },
  },
  configuration: {
    root_module: {
      resources: [
        configured('aws_lambda_function_url.hello', {
          function_name: 'aws_lambda_function.hello.function_name',
        }),
        configured('aws_apigatewayv2_route.get', {
          api_id: 'aws_apigatewayv2_api.api.id',
          target: 'aws_apigatewayv2_integration.hello.id',
        }),
        configured('aws_apigatewayv2_integration.hello', {
          integration_uri: 'aws_lambda_function.hello.invoke_arn',
        }),
      ],
    },
  },
}

describe('a Terraform plan', () => {
  test('functions with the folders of their archives, function URLs, routes of HTTP APIs, modules', async () => {
    const found = await detect({ 'plan.json': JSON.stringify(PLAN), 'src/index.js': 'exports.handler = 1\n' })
    expect(errors(found)).toEqual([])
    expect(found.functions).toMatchObject([
      {
        name: 'hello-dev',
        directory: `${found.directory}/src`,
        timeoutMs: 9_000,
        memoryMb: 512,
        environment: { A: 'b', LATER: '' },
        options: {
          handler: 'index.handler',
          runtime: 'nodejs20.x',
          url: { cors: { allowOrigins: ['*'], allowMethods: ['GET'], maxAge: 5 } },
        },
      },
      { name: 'job-nightly', directory: `${found.directory}/src` },
    ])
    expect(patterns(found)).toEqual(['GET /hello/{id}', 'OPTIONS (preflight)'])
    expect(optionsOf(found, 'GET /hello/{id}')).toMatchObject({
      frontEnd: 'http-api',
      payloadFormat: '2.0',
      cors: { allowOrigins: ['https://a.test'], allowCredentials: true },
    })
    expect(warnings(found)).toEqual([
      'aws_lambda_function.hello: LATER is known after apply; it is empty',
      'aws_lambda_function.lost: no folder of yours holds its code; the function is left out',
      'aws_apigatewayv2_route.lost: GET /lost leads to no function that runs here',
    ])
  })

  test('another plan.json is nobody’s business', async () => {
    const nothing = { functions: [], files: [], faults: [] }
    expect(await detect({ 'plan.json': '{"plan":1}' })).toMatchObject(nothing)
    expect(await detect({ 'plan.json': '{"planned_values"' })).toMatchObject(nothing)
  })
})

describe('whatever the files hold', () => {
  const words = fc.constantFrom(
    'AWS::Serverless::Function',
    'AWS::Lambda::Function',
    'Resources',
    'Properties',
    'Type',
    'Handler',
    'Events',
    'Fn::If',
    'Fn::Sub',
    'Ref',
    'Condition',
    'Conditions',
    'functions',
    'provider',
    'events',
    'httpApi',
    'http',
    'custom',
    'handler',
    'app.handler',
    'alb',
    'conditions',
    'path',
    'authorizer',
    '${self:custom}',
    '${self:}',
    '${file(a.yml):x}',
    '${env:A, ${self:b}}',
    '${',
    'Globals',
    'Api',
    'planned_values',
    'root_module',
    'resources',
    'artifacts',
    'aws_lambda_function',
    'type',
    'address',
    'Mappings',
    'Path',
    'Auth',
    'CorsConfiguration',
    'Cors',
  )
  const names =
    'Ref GetAtt Sub Join Select Split If Equals And Or Not FindInMap ImportValue Base64 GetAZs Length'
  const calls = fc.constantFrom(...`${names} ToJsonString Condition Cidr`.split(' '))
  const leaf = fc.oneof(words, fc.string(), fc.integer(), fc.boolean(), fc.constant(null))
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof({ maxDepth: 5 }, leaf, tie('list'), tie('map'), tie('call')),
    list: fc.array(tie('tree'), { maxLength: 4 }),
    map: fc.dictionary(fc.oneof(words, fc.string()), tie('tree'), { maxKeys: 5 }),
    call: fc
      .tuple(calls, tie('tree'))
      .map(([name, argument]) => ({ [name === 'Ref' ? name : `Fn::${name}`]: argument })),
  }))
  const FILES = ['template.json', 'serverless.json', 'plan.json', 'cdk.out/manifest.json']

  test('nothing is thrown for any tree of the words that mean something', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...FILES), tree, tree, async (file, one, other) => {
        const root = {
          Resources: {
            F: { Type: 'AWS::Serverless::Function', Properties: one },
            G: other,
            H: {
              Type: 'AWS::Serverless::Function',
              Properties: {
                Handler: 'app.handler',
                Environment: { Variables: { A: one, B: other } },
                FunctionUrlConfig: other,
                Events: {
                  A: { Type: 'Api', Properties: one },
                  B: { Type: 'HttpApi', Properties: other },
                  C: { Type: 'SQS', Properties: one },
                  D: { Type: 'Schedule', Properties: other },
                  E: { Type: 'EventBridgeRule', Properties: one },
                  F: { Type: 'SNS', Properties: { Topic: one, SqsSubscription: other } },
                  G: { Type: 'S3', Properties: other },
                },
                Layers: [one],
                EventInvokeConfig: other,
                DeadLetterQueue: one,
              },
            },
            Queue: { Type: 'AWS::SQS::Queue', Properties: one },
            Topic: { Type: 'AWS::SNS::Topic', Properties: { Subscription: [other] } },
            Sub: { Type: 'AWS::SNS::Subscription', Properties: one },
            Rule: { Type: 'AWS::Events::Rule', Properties: { Targets: [other], EventPattern: one } },
            Timer: { Type: 'AWS::Scheduler::Schedule', Properties: other },
            Bucket: { Type: 'AWS::S3::Bucket', Properties: { NotificationConfiguration: one } },
            Mapping: { Type: 'AWS::Lambda::EventSourceMapping', Properties: other },
            Described: { Type: 'AWS::Serverless::Api', Properties: { DefinitionBody: { paths: one } } },
            Socket: { Type: 'AWS::ApiGatewayV2::Api', Properties: { ProtocolType: 'WEBSOCKET', a: one } },
            Layer: { Type: 'AWS::Lambda::LayerVersion', Properties: one },
            R: { Type: 'AWS::ApiGatewayV2::Route', Properties: one },
            M: { Type: 'AWS::ApiGateway::Method', Properties: other },
          },
          Conditions: { A: one, B: other },
          Globals: { Function: one, Api: other },
          provider: one,
          functions: {
            f: {
              handler: 'app.handler',
              events: [
                other,
                { http: one },
                { httpApi: other },
                { alb: one },
                { sqs: one },
                { stream: other },
                { schedule: one },
                { eventBridge: other },
                { sns: one },
                { s3: other },
                { websocket: one },
              ],
              destinations: one,
              layers: other,
              provisionedConcurrency: one,
              environment: { A: one },
            },
            g: other,
          },
          custom: { tree: one, esbuild: other },
          layers: { l: one },
          resources: other,
          planned_values: { root_module: one },
          configuration: other,
          artifacts: { a: one },
        }
        const found = await detect({ [file]: JSON.stringify(root), 'app.mjs': APP })
        expect(Array.isArray(found.functions)).toBe(true)
      }),
      { numRuns: 300 },
    )
  }, 30_000)

  test('nothing is thrown for any text', async () => {
    const piece = fc.oneof(
      words,
      fc.constantFrom(
        '\n',
        '\n  ',
        '\n    ',
        ': ',
        '- ',
        '!Ref ',
        '!Sub ',
        '!If ',
        '&a ',
        '*a',
        '<<: *a',
        '{',
        '}',
        '[',
        ']',
        "'",
        '"',
        '|',
        '\t',
        ', ',
        '? ',
        '---',
        '#',
        '\u0000',
        '\uFEFF',
      ),
      fc.string({ maxLength: 5 }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('template.yaml', 'serverless.yml', 'cdk.out/manifest.json', 'samconfig.toml'),
        fc.array(piece, { maxLength: 60 }),
        async (file, pieces) => {
          const text = `${pieces.join('')}\n# AWS::Lambda::Function "planned_values"\n`
          const found = await detect({
            'template.yaml': 'Resources: { F: { Type: AWS::Lambda::Function } }',
            [file]: text,
          })
          expect(Array.isArray(found.faults)).toBe(true)
        },
      ),
      { numRuns: 300 },
    )
  }, 30_000)

  const BOMBS: readonly string[] = [
    `Resources: &r { F: { Type: AWS::Lambda::Function, Properties: { Environment: { Variables: { A: !Join [',', &a [*a, *a, *a]] } }, Handler: app.handler } }, G: *r }\n`,
    `Conditions: { A: !And [!Condition A, !Condition B], B: !Or [!Condition A, !Condition B] }\nResources: { F: { Condition: A, Type: AWS::Lambda::Function, Properties: { Handler: app.handler } } }\n`,
    `a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\ng: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]\nResources: { F: { Type: AWS::Lambda::Function, Properties: { Handler: app.handler, Timeout: *g } } }\n`,
  ]
  test.each(BOMBS)('what grows without end is read within a second: %#', async (text) => {
    const started = performance.now()
    await detect({ 'template.yaml': text, 'app.mjs': APP })
    expect(performance.now() - started).toBeLessThan(1_000)
  })

  test('variables that double each other are read within a second', async () => {
    const started = performance.now()
    const found = await detect({
      'serverless.yml':
        'provider: { name: aws }\ncustom: { a: "${self:custom.b}${self:custom.b}", b: "${self:custom.a}${self:custom.a}", c: "${file(a.yml):x}${self:}" }\nfunctions: { f: { handler: app.handler, environment: { A: "${self:custom.a}", B: "${self:custom.c}" } } }\n',
      'a.yml': 'x: ${file(a.yml):x}${self:custom}\n',
      'app.mjs': APP,
    })
    expect(found.functions).toHaveLength(1)
    expect(performance.now() - started).toBeLessThan(1_000)
  })
})
