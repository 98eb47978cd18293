import { describe, expect, test } from 'vitest'

import type { RouteOptions } from '../../../src/emulators/lambda/front-ends/route-options.ts'
import { APP, detect, optionsOf } from './detect-harness.ts'

const valueOf = async (files: Record<string, string>, environment = {}): Promise<string | undefined> => {
  const found = await detect({ 'app.mjs': APP, ...files }, environment)
  return found.functions[0]?.environment['V']
}

describe('a service’s .env', () => {
  const service = (head: string): string =>
    `${head}\nprovider: { name: aws, runtime: nodejs20.x, stage: qa }\nfunctions: { f: { handler: app.handler, environment: { V: "\${env:V, 'none'}" } } }\n`
  const files = { '.env': 'V=plain\n', '.env.qa': 'V="of the stage"\n' }

  test.for([
    [
      'is read when useDotenv says so, the stage’s before the plain one',
      'useDotenv: true',
      files,
      'of the stage',
    ],
    ['is enough without one of the stage', 'useDotenv: true', { '.env': 'V=plain\n' }, 'plain'],
    ['is read without a word from version 4 on', "frameworkVersion: '4'", { '.env': 'V=plain\n' }, 'plain'],
    ['is not read otherwise', "frameworkVersion: '^3.38.4'", files, 'none'],
  ] as const)('%s', async ([, head, beside, value]) => {
    expect(await valueOf({ 'serverless.yml': service(head), ...beside })).toBe(value)
  })

  test('yields to the environment of the server', async () => {
    expect(await valueOf({ 'serverless.yml': service('useDotenv: true'), ...files }, { V: 'shell' })).toBe(
      'shell',
    )
  })

  test('is watched', async () => {
    const { files: watched } = await detect({
      'app.mjs': APP,
      'serverless.yml': service('useDotenv: true'),
      ...files,
    })
    expect(watched.map((file) => file.split('/').at(-1))).toEqual(expect.arrayContaining(['.env', '.env.qa']))
  })
})

test('a service’s region is its functions’: where it comes of an option too', async () => {
  const found = await detect({
    'app.mjs': APP,
    'serverless.yml': `provider: { name: aws, runtime: nodejs20.x, region: "\${opt:region, 'eu-west-1'}" }\nfunctions: { f: { handler: app.handler, environment: { V: "\${aws:region}" } } }\n`,
  })
  expect(found.functions[0]).toMatchObject({
    environment: { V: 'eu-west-1' },
    options: { region: 'eu-west-1' },
  })
})

describe('OPTIONS of a REST API’s path', () => {
  test('allows what any method of the path does, as the Serverless Framework joins them', async () => {
    const found = await detect({
      'app.mjs': APP,
      'serverless.yml': `provider: { name: aws, runtime: nodejs20.x }
functions:
  list: { handler: app.handler, events: [ { http: { path: a, method: get, cors: true } } ] }
  put:
    handler: app.handler
    events:
      - http: { path: a, method: put, cors: { origins: ['https://a.example'], headers: [X-A], methods: [PATCH], maxAge: 60, allowCredentials: true } }
`,
    })
    expect(optionsOf(found, 'OPTIONS /a')).toMatchObject({
      cors: {
        allowOrigins: ['*', 'https://a.example'],
        allowMethods: ['OPTIONS', 'GET', 'PUT', 'PATCH'],
        allowHeaders: expect.arrayContaining(['Content-Type', 'X-A']) as unknown,
        maxAge: 60,
        allowCredentials: true,
      },
    })
  })

  test('allows the methods of the path where Cors of a SAM API names none', async () => {
    const event = (path: string, method: string): string =>
      `{ Type: Api, Properties: { RestApiId: !Ref R, Path: ${path}, Method: ${method} } }`
    const found = await detect({
      'app.mjs': APP,
      'template.yaml': `Resources:
  R: { Type: AWS::Serverless::Api, Properties: { StageName: p, Cors: "'*'" } }
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Runtime: nodejs20.x
      Events: { A: ${event('/a', 'get')}, B: ${event('/a', 'delete')}, C: ${event('/c', 'any')} }
`,
    })
    expect(optionsOf(found, 'OPTIONS /a')).toMatchObject({
      cors: { allowMethods: ['OPTIONS', 'GET', 'DELETE'] },
    })
    expect(optionsOf(found, 'OPTIONS /c')).toMatchObject({
      cors: { allowMethods: ['OPTIONS', 'GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD'] },
    })
  })
})

describe('cdk.out', () => {
  const proxy = (id: string, region: string): Record<string, unknown> => ({
    [`F${id}`]: {
      Type: 'AWS::Lambda::Function',
      Properties: {
        Handler: 'app.handler',
        Runtime: 'nodejs20.x',
        Environment: { Variables: { R: region } },
      },
      Metadata: { 'aws:cdk:path': `${id}/F${id}/Resource`, 'aws:asset:path': 'asset.1' },
    },
  })
  const where = { Ref: 'AWS::Region' } as unknown as string
  const stack = (name: string, environment: string): Record<string, unknown> => ({
    [name]: {
      type: 'aws:cloudformation:stack',
      environment,
      properties: { templateFile: `${name}.template.json` },
    },
  })
  const manifest = {
    artifacts: { ...stack('A', 'aws://1/eu-west-1'), ...stack('B', 'aws://unknown-account/unknown-region') },
  }
  const mock = {
    HttpMethod: 'OPTIONS',
    ResourceId: { Ref: 'Items' },
    RestApiId: { Ref: 'Rest' },
    Integration: {
      Type: 'MOCK',
      IntegrationResponses: [
        {
          StatusCode: '204',
          ResponseParameters: {
            'method.response.header.Access-Control-Allow-Headers': "'Content-Type,X-A'",
            'method.response.header.Access-Control-Allow-Origin': "'https://a.example'",
            'method.response.header.Access-Control-Allow-Methods': "'OPTIONS,PUT'",
            'method.response.header.Access-Control-Max-Age': "'60'",
          },
          ResponseTemplates: {
            'application/json':
              '#set($origin = $input.params().header.get("Origin"))#if($origin == "https://b.example") #end',
          },
        },
      ],
    },
  }
  const rest = {
    Rest: { Type: 'AWS::ApiGateway::RestApi', Properties: {} },
    Items: {
      Type: 'AWS::ApiGateway::Resource',
      Properties: {
        ParentId: { 'Fn::GetAtt': ['Rest', 'RootResourceId'] },
        PathPart: 'items',
        RestApiId: { Ref: 'Rest' },
      },
    },
    Options: { Type: 'AWS::ApiGateway::Method', Properties: mock },
  }
  const files = {
    'cdk.out/manifest.json': JSON.stringify(manifest),
    'cdk.out/A.template.json': JSON.stringify({ Resources: { ...proxy('A', where), ...rest } }),
    'cdk.out/B.template.json': JSON.stringify({ Resources: proxy('B', where) }),
    'cdk.out/asset.1/app.mjs': APP,
  }

  test('functions of a stack are in its region', async () => {
    const { functions } = await detect(files)
    expect(functions.map(({ options, environment }) => [options['region'], environment['R']])).toEqual([
      ['eu-west-1', 'eu-west-1'],
      [undefined, 'us-east-1'],
    ])
  })

  test('an OPTIONS method that only mocks is what its path answers to preflight requests', async () => {
    expect(optionsOf(await detect(files), 'OPTIONS /items')).toMatchObject({
      preflight: true,
      cors: {
        allowOrigins: ['https://a.example', 'https://b.example'],
        allowMethods: ['OPTIONS', 'PUT'],
        allowHeaders: ['Content-Type', 'X-A'],
        maxAge: 60,
      },
    })
  })
})

test('rules of several load balancers are asked as one’s, because they share a port here', async () => {
  const rule = (listenerArn: string, host: string): string =>
    `{ alb: { listenerArn: ${listenerArn}, priority: 1, conditions: { path: '/*', host: ${host} } } }`
  const { routes } = await detect({
    'app.mjs': APP,
    'serverless.yml': `provider: { name: aws, runtime: nodejs20.x }
functions:
  a: { handler: app.handler, events: [ ${rule('one', 'a.example')} ] }
  b: { handler: app.handler, events: [ ${rule('two', 'b.example')} ] }
`,
  })
  const names = routes.map(({ options }) => (options as RouteOptions).listener?.name)
  expect(names).toHaveLength(2)
  expect(new Set(names).size).toBe(1)
})
