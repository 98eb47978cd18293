import { describe, expect, test } from 'vitest'

import { APP, detect, errors, optionsOf, patterns, warnings } from './detect-harness.ts'
import { openFunction } from './harness.ts'

const HEAD = `Parameters:
  Stage: { Type: String, Default: dev }
  Hosts: { Type: CommaDelimitedList, Default: 'a, b' }
  Secret: { Type: AWS::SSM::Parameter::Value<String>, Default: /a/b }
  Needed: { Type: String }
Mappings: { M: { dev: { x: 5, list: [p, q] } } }
Conditions:
  Dev: !Equals [!Ref Stage, dev]
  Prod: !Not [!Condition Dev]
  Both: !And [!Condition Dev, !Not [!Condition Prod]]
  Any: { 'Fn::Or': [{ Condition: Prod }, { 'Fn::Equals': [1, '1'] }] }
Resources:
  Table: { Type: AWS::DynamoDB::Table, Properties: { TableName: !Sub 'items-\${Stage}' } }
  Queue: { Type: AWS::SQS::Queue, Properties: { QueueName: jobs } }
  Topic: { Type: AWS::SNS::Topic }
  Bucket: { Type: AWS::S3::Bucket, Properties: { BucketName: photos } }
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Environment:
        Variables:
          V: `
const OUTPUTS = `
Outputs:
  Shared: { Value: exported, Export: { Name: !Sub '\${Stage}-name' } }
`

const VALUES: readonly (readonly [written: string, value: string | undefined])[] = [
  ['!Ref Stage', 'dev'],
  ['{ Ref: Stage }', 'dev'],
  ['!Ref AWS::Region', 'us-east-1'],
  ['!Ref AWS::AccountId', '123456789012'],
  ['!Ref AWS::Partition', 'aws'],
  ['!Ref AWS::URLSuffix', 'amazonaws.com'],
  ['!Ref AWS::NoValue', undefined],
  ['!Ref Table', 'items-dev'],
  ['!Ref Queue', 'https://sqs.us-east-1.amazonaws.com/123456789012/jobs'],
  ['!Ref Topic', 'arn:aws:sns:us-east-1:123456789012:Topic'],
  ['!Ref F', 'F'],
  ['!GetAtt Table.Arn', 'arn:aws:dynamodb:us-east-1:123456789012:table/items-dev'],
  ['!GetAtt Bucket.Arn', 'arn:aws:s3:::photos'],
  ['!GetAtt Queue.QueueName', 'jobs'],
  ['!GetAtt [F, Arn]', 'arn:aws:lambda:us-east-1:123456789012:function:F'],
  ['{ "Fn::GetAtt": F.Arn }', 'arn:aws:lambda:us-east-1:123456789012:function:F'],
  [
    '!Sub "${Stage}-${AWS::Region}-${F.Arn}-${!kept}"',
    'dev-us-east-1-arn:aws:lambda:us-east-1:123456789012:function:F-${kept}',
  ],
  ['!Sub ["${A}/${Stage}", { A: !Ref Queue }]', 'https://sqs.us-east-1.amazonaws.com/123456789012/jobs/dev'],
  ['{ "Fn::Sub": "x-${Stage}" }', 'x-dev'],
  ['!Join ["-", [a, !Ref Stage, !Ref AWS::NoValue]]', 'a-dev'],
  ['!Join ["+", !Ref Hosts]', 'a+b'],
  ['{ "Fn::Join": ["", [1, 2]] }', '12'],
  ['!Select [1, !Ref Hosts]', 'b'],
  ['!Select [0, !GetAZs ""]', 'us-east-1a'],
  ['!Select [1, !Split ["/", "x/y/z"]]', 'y'],
  ['!FindInMap [M, !Ref Stage, x]', '5'],
  ['!Join [",", !FindInMap [M, dev, list]]', 'p,q'],
  ['!FindInMap [M, none, x, { DefaultValue: d }]', 'd'],
  ['!If [Dev, yes, no]', 'yes'],
  ['!If [Prod, 1, !If [Both, inner, 2]]', 'inner'],
  ['{ "Fn::If": [Any, any, none] }', 'any'],
  ['!If [Prod, x, !Ref AWS::NoValue]', undefined],
  ['!Base64 text', 'dGV4dA=='],
  ['!ImportValue dev-name', 'exported'],
  ['!ImportValue { "Fn::Sub": "${Stage}-name" }', 'exported'],
  ['{ "Fn::ToJsonString": { a: !Ref Stage } }', '{"a":"dev"}'],
  ['!Sub ["${N}", { N: { "Fn::Length": !Ref Hosts } }]', '2'],
  ['true', 'true'],
]

describe('intrinsic functions', () => {
  test.each(VALUES)('%s', async (written, value) => {
    const found = await detect({ 'template.yaml': HEAD + written + OUTPUTS, 'app.mjs': APP })
    expect(errors(found)).toEqual([])
    expect(found.functions[0]?.environment).toEqual(value === undefined ? {} : { V: value })
    expect(warnings(found).filter((message) => !message.includes('is not emulated'))).toEqual([])
  })

  const UNRESOLVED: readonly (readonly [written: string, message: string])[] = [
    ['!ImportValue other', '!ImportValue has no value here; it is empty'],
    ['!FindInMap [M, none, x]', '!FindInMap has no value here; it is empty'],
    ['!Cidr [10.0.0.0/16, 1, 8]', '!Cidr has no value here; it is empty'],
    ['"{{resolve:ssm:/a:1}}"', '{{resolve:ssm:/a:1}} has no value here; it is empty'],
    ['!Ref Nothing', 'Nothing is neither a parameter nor a resource of this file; it stands for itself'],
    ['!GetAtt Nothing.Arn', 'there is no resource Nothing in this file; Nothing.Arn stands for itself'],
    ['!If [Nothing, a, b]', 'there is no condition Nothing; it holds'],
  ]
  test.each(UNRESOLVED)('%s is told with its place, and the function is served', async (written, message) => {
    const found = await detect({ 'template.yaml': HEAD + written, 'app.mjs': APP })
    expect(found.functions).toHaveLength(1)
    const fault = found.faults.find((one) => one.message === message)
    expect(fault).toMatchObject({ severity: 'warning', place: { line: 23 } })
    expect(fault?.text).toContain(written.slice(0, 4))
  })

  test('a parameter without a value here is told at the parameter', async () => {
    expect(warnings(await detect({ 'template.yaml': `${HEAD}!Ref Needed`, 'app.mjs': APP }))).toContain(
      'parameter Needed has no Default; it is empty',
    )
    expect(warnings(await detect({ 'template.yaml': `${HEAD}!Ref Secret`, 'app.mjs': APP }))).toContain(
      'parameter Secret is kept in the cloud; it is empty here',
    )
  })
})

describe('samconfig.toml', () => {
  const CONFIGS: readonly string[] = [
    'parameter_overrides = "Stage=prod Needed=\\"two words\\""',
    `parameter_overrides = ["Stage=prod", "Needed='two words'"]`,
    `parameter_overrides = [\n  "Stage=prod", # why\n  "Needed='two words'",\n]`,
    'parameter_overrides = "ParameterKey=Stage,ParameterValue=prod ParameterKey=Needed,ParameterValue=\\"two words\\""',
  ]
  test.each(CONFIGS)('gives parameters values: %s', async (line) => {
    const found = await detect({
      'samconfig.toml': `version = 0.1\n[default.deploy.parameters]\nstack_name = "shop"\nregion = "eu-west-1"\n${line}\n[prod.deploy.parameters]\nparameter_overrides = "Stage=other"\n`,
      'template.yaml': `${HEAD}!Sub '\${Stage} \${Needed} \${AWS::StackName} \${AWS::Region}'`,
      'app.mjs': APP,
    })
    expect(found.functions[0]?.environment).toEqual({ V: 'prod two words shop eu-west-1' })
    expect(found.files.map((file) => file.slice(found.directory.length + 1))).toEqual([
      'template.yaml',
      'samconfig.toml',
    ])
  })
})

describe('Globals', () => {
  test('maps are merged, lists follow each other, and of anything else the function’s own counts', async () => {
    const found = await detect({
      'template.yaml': `Globals:
  Function:
    Runtime: nodejs20.x
    Timeout: 5
    MemorySize: 300
    Environment: { Variables: { A: global, B: global } }
    FunctionUrlConfig: { AuthType: NONE, Cors: { AllowOrigins: [https://a.test], MaxAge: 5 } }
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Timeout: 9
      Environment: { Variables: { B: own, C: own } }
      FunctionUrlConfig: { Cors: { AllowOrigins: [https://b.test] } }
  Plain:
    Type: AWS::Lambda::Function
    Properties: { Handler: app.handler, Runtime: nodejs22.x, Code: . }
`,
      'app.mjs': APP,
    })
    expect(found.functions).toMatchObject([
      {
        timeoutMs: 9_000,
        memoryMb: 300,
        environment: { A: 'global', B: 'own', C: 'own' },
        options: { url: { cors: { allowOrigins: ['https://a.test', 'https://b.test'], maxAge: 5 } } },
      },
      { name: 'Plain', environment: {}, timeoutMs: undefined, options: { runtime: 'nodejs22.x' } },
    ])
  })
})

const APIS = `Globals:
  HttpApi:
    CorsConfiguration: { AllowOrigins: [https://a.test], AllowMethods: [GET], AllowHeaders: ['*'], MaxAge: 60 }
Resources:
  Rest:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      Variables: { table: items }
      BinaryMediaTypes: [image~1*]
      Cors: { AllowOrigin: "'https://a.test'", AllowMethods: "'GET,POST'", AllowHeaders: "'x-a'" }
      Auth:
        DefaultAuthorizer: Token
        ApiKeyRequired: true
        Authorizers:
          Token:
            FunctionArn: !GetAtt Guard.Arn
            Identity: { Header: X-Token, ValidationExpression: '^t.*', ReauthorizeEvery: 7 }
          Whole:
            FunctionArn: !GetAtt Guard.Arn
            FunctionPayloadType: REQUEST
            Identity: { Headers: [A], QueryStrings: [q] }
          Pool: { UserPoolArn: !GetAtt Users.Arn }
  Http:
    Type: AWS::Serverless::HttpApi
    Properties:
      StageName: beta
      StageVariables: { a: b }
      Auth:
        Authorizers:
          Jwt:
            IdentitySource: $request.header.Authorization
            JwtConfiguration: { issuer: https://i.test, audience: [me] }
          Fn:
            FunctionArn: !GetAtt Guard.Arn
            AuthorizerPayloadFormatVersion: '2.0'
            EnableSimpleResponses: true
            Identity: { Headers: [Authorization], ReauthorizeEvery: 3 }
  Key: { Type: AWS::ApiGateway::ApiKey, Properties: { Value: the-key-of-this-api } }
  Users: { Type: AWS::Cognito::UserPool }
  Guard: { Type: AWS::Serverless::Function, Properties: { Handler: app.handler } }
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Events:
        A: { Type: Api, Properties: { Path: /a, Method: get, RestApiId: !Ref Rest } }
        B: { Type: Api, Properties: { Path: /b, Method: post, RestApiId: !Ref Rest, Auth: { Authorizer: Whole, ApiKeyRequired: false } } }
        C: { Type: Api, Properties: { Path: /c, Method: any, RestApiId: !Ref Rest, Auth: { Authorizer: NONE } } }
        D: { Type: Api, Properties: { Path: /d, Method: get, RestApiId: !Ref Rest, Auth: { Authorizer: Pool } } }
        E: { Type: Api, Properties: { Path: /implicit, Method: get } }
        G: { Type: HttpApi, Properties: { Path: /g, Method: GET, ApiId: !Ref Http, TimeoutInMillis: 900, Auth: { Authorizer: Jwt, AuthorizationScopes: [read] } } }
        H: { Type: HttpApi, Properties: { Path: /h, Method: '*', ApiId: !Ref Http, PayloadFormatVersion: '1.0', Auth: { Authorizer: Fn } } }
        I: { Type: HttpApi, Properties: { Path: /i, Method: delete } }
        J: { Type: HttpApi, Properties: { Path: /j, Method: get, Auth: { Authorizer: AWS_IAM } } }
`

describe('APIs', () => {
  const FILES = { 'template.yaml': APIS, 'app.mjs': APP }

  test('a route has its API’s stage, variables, types, keys and authorizer, or its own', async () => {
    const found = await detect(FILES)
    expect(errors(found)).toEqual([])
    expect(optionsOf(found, 'GET /a')).toMatchObject({
      frontEnd: 'rest-api',
      apiId: 'Rest',
      stage: 'v1',
      stageVariables: { table: 'items' },
      binaryMediaTypes: ['image/*'],
      apiKeyRequired: true,
      apiKeys: [{ id: 'Key', value: 'the-key-of-this-api' }],
      authorizer: {
        kind: 'token',
        function: 'Guard',
        identitySource: 'X-Token',
        validation: '^t.*',
        ttlSeconds: 7,
      },
    })
    expect(optionsOf(found, 'POST /b')).toMatchObject({
      authorizer: {
        kind: 'request',
        function: 'Guard',
        identitySources: ['method.request.header.A', 'method.request.querystring.q'],
      },
    })
    expect(optionsOf(found, 'POST /b')).not.toHaveProperty('apiKeyRequired')
    expect(optionsOf(found, 'ANY /c')).not.toHaveProperty('authorizer')
    expect(optionsOf(found, 'GET /implicit')).toMatchObject({ apiId: 'ServerlessRestApi', stage: 'Prod' })
    expect(optionsOf(found, 'GET /g')).toMatchObject({
      frontEnd: 'http-api',
      stage: 'beta',
      stageVariables: { a: 'b' },
      timeoutMs: 900,
      cors: { allowOrigins: ['https://a.test'], allowMethods: ['GET'], allowHeaders: ['*'], maxAge: 60 },
      authorizer: {
        kind: 'jwt',
        issuer: 'https://i.test',
        audience: ['me'],
        identitySource: '$request.header.Authorization',
        scopes: ['read'],
      },
    })
    expect(optionsOf(found, 'ANY /h')).toMatchObject({
      payloadFormat: '1.0',
      authorizer: {
        kind: 'request',
        function: 'Guard',
        identitySources: ['$request.header.Authorization'],
        ttlSeconds: 3,
        payloadFormat: '2.0',
        simpleResponses: true,
      },
    })
  })

  test('preflight requests: a REST API’s by path, an HTTP API’s for all', async () => {
    const found = await detect(FILES)
    expect(patterns(found).filter((pattern) => pattern.startsWith('OPTIONS'))).toEqual([
      'OPTIONS /a',
      'OPTIONS /b',
      'OPTIONS /c',
      'OPTIONS /d',
      'OPTIONS (preflight)',
    ])
    expect(patterns(found).indexOf('OPTIONS /c')).toBeLessThan(patterns(found).indexOf('ANY /c'))
    expect(optionsOf(found, 'OPTIONS /a')).toMatchObject({
      preflight: true,
      frontEnd: 'rest-api',
      cors: { allowOrigins: ['https://a.test'], allowMethods: ['GET', 'POST'], allowHeaders: ['x-a'] },
    })
    expect(optionsOf(found, 'OPTIONS /a')).not.toHaveProperty('authorizer.kind')
    expect(optionsOf(found, 'GET /a')).not.toHaveProperty('cors.allowOrigins')
  })

  test('who cannot be asked here is told', async () => {
    expect(warnings(await detect(FILES))).toEqual([
      'the authorizer Pool is not emulated: nobody is asked who they are',
      'signatures are not checked: this route answers everyone',
      'AWS::Cognito::UserPool is not emulated: Users',
    ])
  })

  test('an API whose keys the cloud would make up has one of ours, which is told', async () => {
    const found = await detect({ ...FILES, 'template.yaml': APIS.replace(/ {2}Key: .*\n/, '') })
    expect(optionsOf(found, 'GET /a')).toMatchObject({ apiKeys: [{ value: 'flexi-local-api-key' }] })
    expect(warnings(found)).toContain('the API keys have no value here; flexi-local-api-key is one')
  })

  test('routes written out as resources of API Gateway lead to their functions', async () => {
    const found = await detect({
      'app.mjs': APP,
      'template.json': JSON.stringify({
        Resources: {
          F: { Type: 'AWS::Lambda::Function', Properties: { Handler: 'app.handler', Code: '.' } },
          Url: {
            Type: 'AWS::Lambda::Url',
            Properties: { TargetFunctionArn: { Ref: 'F' }, Cors: { AllowOrigins: ['*'] } },
          },
          Http: { Type: 'AWS::ApiGatewayV2::Api', Properties: { ProtocolType: 'HTTP' } },
          Route: {
            Type: 'AWS::ApiGatewayV2::Route',
            Properties: {
              ApiId: { Ref: 'Http' },
              RouteKey: 'GET /v2/{id}',
              Target: { 'Fn::Join': ['/', ['integrations', { Ref: 'Integration' }]] },
            },
          },
          Lost: {
            Type: 'AWS::ApiGatewayV2::Route',
            Properties: { ApiId: { Ref: 'Http' }, RouteKey: '$default', Target: 'integrations/none' },
          },
          Integration: {
            Type: 'AWS::ApiGatewayV2::Integration',
            Properties: { IntegrationUri: { 'Fn::GetAtt': ['F', 'Arn'] }, PayloadFormatVersion: '2.0' },
          },
          Rest: { Type: 'AWS::ApiGateway::RestApi', Properties: {} },
          Stage: {
            Type: 'AWS::ApiGateway::Stage',
            Properties: { RestApiId: { Ref: 'Rest' }, StageName: 'prod' },
          },
          Users: {
            Type: 'AWS::ApiGateway::Resource',
            Properties: { PathPart: 'users', ParentId: { 'Fn::GetAtt': ['Rest', 'RootResourceId'] } },
          },
          User: {
            Type: 'AWS::ApiGateway::Resource',
            Properties: { PathPart: '{id}', ParentId: { Ref: 'Users' } },
          },
          Method: {
            Type: 'AWS::ApiGateway::Method',
            Properties: {
              HttpMethod: 'POST',
              RestApiId: { Ref: 'Rest' },
              ResourceId: { Ref: 'User' },
              Integration: {
                Type: 'AWS_PROXY',
                Uri: {
                  'Fn::Join': [
                    '',
                    [
                      'arn:aws:apigateway:x:lambda:path/functions/',
                      { 'Fn::GetAtt': ['F', 'Arn'] },
                      '/invocations',
                    ],
                  ],
                },
              },
            },
          },
        },
      }),
    })
    expect(patterns(found)).toEqual(['GET /v2/{id}', 'POST /users/{id}'])
    expect(optionsOf(found, 'POST /users/{id}')).toMatchObject({ frontEnd: 'rest-api', stage: 'prod' })
    expect(found.functions[0]?.options).toMatchObject({ url: { cors: { allowOrigins: ['*'] } } })
    expect(warnings(found)).toEqual(['$default leads to no function that runs here'])
  })
})

describe('code in a template', () => {
  const inline = (runtime: string, code: string): string =>
    `Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: index.handler\n      Runtime: ${runtime}\n      InlineCode: |\n        ${code}\n`

  const CODES = [
    'exports.handler = async () => "told inline"',
    'export const handler = async () => "told inline"',
  ]
  test.each(CODES)('runs as a file called index: %s', async (code) => {
    const found = await detect({ 'template.yaml': inline('nodejs20.x', code) })
    expect(found.faults).toEqual([])
    const options = found.functions[0]?.options as { readonly handler: string }
    await using opened = await openFunction({ 'package.json': '{"type":"module"}' }, { handler: '', options })
    expect((await opened.invoke({})).value).toBe('told inline')
  })
})

describe('code', () => {
  const CODES: readonly (readonly [properties: string, folder: string | undefined])[] = [
    ['CodeUri: src', 'src'],
    ['CodeUri: src/', 'src'],
    ['CodeUri: ./src/app.mjs', 'src'],
    ['CodeUri: !Sub "${D}"', 'src'],
    ['CodeUri: s3://bucket/key', undefined],
    ['CodeUri: { Bucket: b, Key: k }', undefined],
    ['PackageType: Image', undefined],
    ['ImageUri: x.dkr.ecr/y', undefined],
  ]
  test.each(CODES)('%s', async (properties, folder) => {
    const found = await detect({
      'template.yaml': `Parameters: { D: { Default: src } }\nResources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: app.handler\n      Architectures: [arm64]\n      ${properties}\n`,
      'src/app.mjs': APP,
    })
    expect(found.functions.map(({ directory }) => directory)).toEqual(
      folder === undefined ? [] : [`${found.directory}/${folder}`],
    )
    expect(found.faults).toHaveLength(folder === undefined ? 1 : 0)
    if (folder === undefined) expect(warnings(found)[0]).toContain('the function is left out')
  })

  test('what sam build left behind is not read', async () => {
    const found = await detect({
      '.aws-sam/build/template.yaml': 'Resources: { X: { Type: AWS::Serverless::Function } }',
      'app.mjs': APP,
    })
    expect(found.functions).toEqual([])
  })

  test('JSON has places too, also with tabs', async () => {
    const found = await detect({
      'template.json':
        '{\n\t"Resources": {\n\t\t"F": {\n\t\t\t"Type": "AWS::Serverless::Function",\n\t\t\t"Properties": { "Handler": "none.handler" }\n\t\t}\n\t}\n}\n',
    })
    expect(found.faults).toMatchObject([{ severity: 'warning', place: { line: 5, column: 31 } }])
  })
})
