import { rm } from 'node:fs/promises'

import { describe, expect, test } from 'vitest'

import type { Detection } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { lambda } from '../../../src/emulators/lambda/index.ts'
import { temporaryFolder, type Files } from './harness.ts'

interface Found extends Detection {
  readonly directory: AbsolutePath
}

async function detect(files: Files, environment: Record<string, string> = {}): Promise<Found> {
  const directory = await temporaryFolder(files)
  try {
    return { ...(await lambda.detect(directory, { environment })), directory }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const summary = ({ routes }: Detection): unknown =>
  routes.map(({ pattern, target }) => [pattern, target.kind === 'function' ? target.name : ''])
const errors = ({ faults }: Detection): unknown => faults.filter(({ severity }) => severity !== 'warning')
const warnings = ({ faults }: Detection): string[] =>
  faults.filter(({ severity }) => severity === 'warning').map(({ message }) => message)

const APP = 'export const handler = async () => 1\n'

describe('a folder without a provider’s files', () => {
  test('has no function', async () => {
    expect(await detect({ 'app.mjs': APP })).toMatchObject({
      functions: [],
      routes: [],
      files: [],
      faults: [],
    })
  })

  test('neither has one whose template is about something else', async () => {
    const found = await detect({
      'template.yaml': 'kind: Deployment\nspec: {{ broken }}\n',
      'template.json': '{}',
    })
    expect(found).toMatchObject({ functions: [], files: [], faults: [] })
  })
})

const SAM = `AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: { Type: String, Default: dev }
Mappings:
  Limits: { dev: { memory: 512 } }
Conditions:
  IsDev: !Equals [!Ref Stage, dev]
  IsProd: !Not [!Condition IsDev]
Globals:
  Function:
    Runtime: nodejs20.x
    Timeout: 7
    Environment:
      Variables: { SHARED: all, STAGE: !Ref Stage }
  HttpApi: {}
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties: { StageName: prod, BinaryMediaTypes: [image~1png] }
  Hello:
    Type: AWS::Serverless::Function
    Metadata:
      BuildMethod: esbuild
      BuildProperties:
        EntryPoints: [src/hello.ts]
    Properties:
      CodeUri: hello/
      Handler: hello.main
      MemorySize: !FindInMap [Limits, !Ref Stage, memory]
      Environment:
        Variables:
          TABLE: !Ref Table
          ARN: !GetAtt Plain.Arn
          URL: !Sub 'https://\${Stage}.\${AWS::Region}.test/\${!literal}'
          JOINED: !Join ['-', [a, !Ref Stage]]
          CHOSEN: !If [IsDev, yes, no]
          FULL: { 'Fn::Sub': ['\${A}-b', { A: !Ref Stage }] }
          SELECTED: !Select [1, !Split [',', 'x,y']]
      Events:
        Get: { Type: HttpApi, Properties: { Path: '/hello/{id}', Method: get } }
        All: { Type: HttpApi }
        Greedy: { Type: HttpApi, Properties: { Path: '/hello/{proxy+}', Method: ANY } }
        Exact: { Type: HttpApi, Properties: { Path: /hello/me, Method: any } }
        Rest: { Type: Api, Properties: { Path: /rest, Method: post, RestApiId: !Ref Api } }
        Queue: { Type: SQS, Properties: { Queue: arn } }
  Plain:
    Type: AWS::Lambda::Function
    Properties: { Code: ./plain, Handler: index.handler, Runtime: python3.12 }
  OnlyProd:
    Type: AWS::Serverless::Function
    Condition: IsProd
    Properties: { Handler: none.handler }
  Java:
    Type: AWS::Serverless::Function
    Properties: { Handler: x::y, Runtime: cobol85 }
  Image:
    Type: AWS::Serverless::Function
    Properties: { PackageType: Image }
  Table:
    Type: AWS::DynamoDB::Table
  Role:
    Type: AWS::IAM::Role
`

describe('a SAM template', () => {
  const FILES = {
    'template.yaml': SAM,
    'hello/src/hello.ts': APP,
    'plain/index.py': 'def handler(event, context): pass\n',
  }

  test('its functions, with what globals, parameters and intrinsics come to', async () => {
    const found = await detect(FILES, { AWS_REGION: 'eu-west-1' })
    expect(errors(found)).toEqual([])
    expect(found.files).toEqual([`${found.directory}/template.yaml`])
    expect(found.functions).toEqual([
      {
        name: 'Hello',
        provider: 'lambda',
        directory: `${found.directory}/hello`,
        origin: { file: `${found.directory}/template.yaml`, line: 29, column: 16 },
        timeoutMs: 7_000,
        memoryMb: 512,
        options: { handler: 'hello.main', runtime: 'nodejs20.x', entry: 'src/hello.ts', esbuild: {} },
        environment: {
          SHARED: 'all',
          STAGE: 'dev',
          TABLE: 'Table',
          ARN: 'arn:aws:lambda:eu-west-1:123456789012:function:Plain',
          URL: 'https://dev.eu-west-1.test/${literal}',
          JOINED: 'a-dev',
          CHOSEN: 'yes',
          FULL: 'dev-b',
          SELECTED: 'y',
        },
      },
      expect.objectContaining({
        name: 'Plain',
        directory: `${found.directory}/plain`,
        options: { handler: 'index.handler', runtime: 'python3.12' },
      }),
    ])
  })

  test('its routes, in API Gateway’s order of priority, with what their events need', async () => {
    const found = await detect(FILES)
    expect(summary(found)).toEqual([
      ['ANY /hello/me', 'Hello'],
      ['GET /hello/{id}', 'Hello'],
      ['ANY /hello/{proxy+}', 'Hello'],
      ['POST /rest', 'Hello'],
      ['$default', 'Hello'],
    ])
    expect(found.routes[3]).toMatchObject({
      matcher: { kind: 'template', method: 'POST', segments: [{ kind: 'literal', text: 'rest' }] },
      options: { frontEnd: 'rest-api', stage: 'prod', resource: '/rest', binaryMediaTypes: ['image/png'] },
    })
    expect(found.routes[1]).toMatchObject({
      options: { frontEnd: 'http-api', routeKey: 'GET /hello/{id}', stage: '$default', payloadFormat: '2.0' },
    })
    expect(found.routes[4]).toMatchObject({
      matcher: { kind: 'template', method: undefined, segments: undefined },
    })
  })

  test('what is not emulated is said, each once, and what has no meaning here is not', async () => {
    const found = warnings(await detect(FILES))
    expect(found).toEqual([
      'Hello: Queue "arn" is no ARN; nothing is polled',
      'functions of the runtime cobol85 do not run here; it is left out',
      'container images are not run here; the function is left out',
      'AWS::DynamoDB::Table is not emulated: Table',
    ])
  })

  test('a handler without a file is a warning at its line, which says what there is: the others are served', async () => {
    const found = await detect({
      'template.yml':
        'Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: src\n      Handler: ap.handler\n',
      'src/app.ts': APP,
    })
    expect(found.functions.map(({ name }) => name)).toEqual(['F'])
    expect(found.faults).toEqual([
      {
        severity: 'warning',
        place: { file: `${found.directory}/template.yml`, line: 6, column: 16 },
        text: '      Handler: ap.handler',
        message: `no file for the handler "ap.handler" in ${found.directory}/src`,
        hint: 'There is: app.ts.',
      },
    ])
  })

  test('every mistake in writing is told, with its place', async () => {
    const found = await detect({
      'template.yaml': 'Resources:\n  A: AWS::Serverless::Function\n  A: 2\n\tB: 1\n  C: [1\n',
    })
    expect(found.functions).toEqual([])
    expect(found.files).toHaveLength(1)
    expect(found.faults.map(({ place }) => place.line)).toEqual(expect.arrayContaining([3, 4]))
    expect(found.faults.length).toBeGreaterThan(1)
  })

  test('a template may be JSON', async () => {
    const template = {
      Resources: {
        F: {
          Type: 'AWS::Serverless::Function',
          Properties: {
            Handler: 'app.handler',
            Timeout: 900,
            Environment: { Variables: { A: { Ref: 'AWS::AccountId' } } },
          },
        },
      },
    }
    const found = await detect({ 'template.json': JSON.stringify(template), 'app.mjs': APP })
    expect(found.functions).toMatchObject([
      { name: 'F', timeoutMs: 900_000, environment: { A: '123456789012' } },
    ])
  })

  test('a condition that refers to itself ends', async () => {
    const found = await detect({
      'template.yaml':
        'Conditions:\n  A: !Condition A\nResources:\n  F:\n    Type: AWS::Serverless::Function\n    Condition: A\n    Properties: { Handler: app.handler }\n',
      'app.mjs': APP,
    })
    expect(warnings(found)).toContain('this refers to itself')
  })
})

const SERVERLESS = `service: shop
provider:
  name: aws
  runtime: nodejs20.x
  stage: \${opt:stage, 'dev'}
  timeout: 10
  environment: &shared
    STAGE: \${self:provider.stage}
    TOKEN: \${env:TOKEN}
    FALLBACK: \${env:NONE, self:custom.names.\${self:provider.stage}, 'never'}
  httpApi:
    cors: true
custom:
  names: { dev: of-dev }
  from: \${file(./more.yml):deep.value}
functions:
  users:
    handler: src/users.list
    memorySize: 256
    timeout: 3
    environment:
      <<: *shared
      OWN: 'a-\${self:custom.from}-\${sls:stage}'
      TABLE: { Ref: UsersTable }
      ARN: { Fn::GetAtt: [UsersTable, Arn] }
      NOTHING: null
    events:
      - httpApi: GET /users/{id}
      - httpApi: { method: '*', path: /users }
      - httpApi: '*'
      - http: POST old/users
      - http: { path: 'old/{proxy+}', method: any, cors: true }
      - schedule: rate(1 hour)
  site:
    handler: site/app.handler
    runtime: python3.12
    url: true
    environment:
      UNKNOWN: \${ssm:/a/b}
resources: { Resources: {} }
`

describe('a serverless.yml', () => {
  const FILES = {
    'serverless.yml': SERVERLESS,
    'more.yml': 'deep: { value: 7 }\n',
    'src/users.ts': 'export const list = 1\n',
    'site/app.py': '',
  }

  test('its functions, with every variable that has a value here', async () => {
    const found = await detect(FILES, { TOKEN: 'secret' })
    expect(errors(found)).toEqual([])
    expect(found.functions).toEqual([
      {
        name: 'users',
        provider: 'lambda',
        directory: found.directory,
        origin: { file: `${found.directory}/serverless.yml`, line: 18, column: 14 },
        timeoutMs: 3_000,
        memoryMb: 256,
        options: {
          handler: 'src/users.list',
          runtime: 'nodejs20.x',
          functionName: 'shop-dev-users',
          sources: [{ type: 'schedule', expression: 'rate(1 hour)' }],
        },
        environment: {
          STAGE: 'dev',
          TOKEN: 'secret',
          FALLBACK: 'of-dev',
          OWN: 'a-7-dev',
          TABLE: 'UsersTable',
          ARN: 'UsersTable.Arn',
        },
      },
      expect.objectContaining({
        name: 'site',
        timeoutMs: 10_000,
        memoryMb: 1024,
        options: { handler: 'site/app.handler', runtime: 'python3.12', functionName: 'shop-dev-site' },
      }),
    ])
  })

  test('its routes, of both kinds of API', async () => {
    const found = await detect(FILES, { TOKEN: '' })
    expect(summary(found)).toEqual([
      ['POST /old/users', 'users'],
      ['GET /users/{id}', 'users'],
      ['OPTIONS /old/{proxy+}', 'users'],
      ['ANY /old/{proxy+}', 'users'],
      ['ANY /users', 'users'],
      ['$default', 'users'],
    ])
    expect(found.routes[0]).toMatchObject({
      options: { frontEnd: 'rest-api', stage: 'dev', resource: '/old/users' },
    })
  })

  test('what has no value or is not emulated is said, with its place', async () => {
    const found = await detect(FILES)
    expect(warnings(found).toSorted()).toEqual(
      [
        '${env:TOKEN} has no value here; it is empty',
        '${ssm:/a/b} has no value here; it is empty',
      ].toSorted(),
    )
    expect(found.faults.find(({ message }) => message.startsWith('${ssm'))?.place).toMatchObject({
      line: 39,
      column: 16,
    })
  })

  test('variables that refer to each other end', async () => {
    const found = await detect({
      'serverless.yml':
        "provider: { name: aws }\ncustom: { a: '${self:custom.b}', b: '${self:custom.a}' }\nfunctions:\n  f: { handler: app.handler, environment: { A: '${self:custom.a}' } }\n",
      'app.mjs': APP,
    })
    expect(found.functions).toHaveLength(1)
    expect(warnings(found)).toContain('this refers to itself')
  })

  test('another provider is left alone', async () => {
    const found = await detect({
      'serverless.yml': 'provider: { name: google }\nfunctions: { f: { handler: x } }\n',
    })
    expect(found.functions).toEqual([])
    expect(warnings(found)).toEqual(['provider google is not emulated'])
  })

  test('a configuration in code is not read, and that is said', async () => {
    expect(warnings(await detect({ 'serverless.ts': 'export default {}\n' }))).toEqual([
      'a Serverless configuration in code is not read',
    ])
  })
})

describe('targets of routes', () => {
  const CASES: Readonly<Record<string, unknown>> = {
    './app.ts': { handler: 'app.ts' },
    'app.ts': { handler: 'app.ts' },
    'lib/app.py': { handler: 'lib/app.py' },
    'app.handler': { handler: 'app.handler' },
    'lib/app.handler': { handler: 'lib/app.handler' },
    './none.ts': undefined,
    'none.handler': undefined,
    hello: undefined,
    './public': undefined,
    'http://app.ts': undefined,
    '../app.ts': undefined,
    'lib.so': undefined,
  }
  test.each(Object.entries(CASES))('%s', async (target, options) => {
    const directory = await temporaryFolder({ 'app.ts': APP, 'lib/app.py': '', 'lib.so': '' })
    expect(await lambda.recognise(target, directory)).toEqual(options)
    await rm(directory, { recursive: true })
  })
})

describe('options', () => {
  test('every fault is told at once', async () => {
    const directory = await temporaryFolder({})
    const config = {
      name: 'f',
      provider: 'lambda',
      directory,
      origin: { file: 'flexi.jsonc', line: 2, column: 3 },
      environment: {},
      timeoutMs: 901_000,
      memoryMb: 64,
      options: { handler: '../x.y', runtime: 'cobol85', hanlder: 1 },
    }
    const opening = lambda.open(config, {} as never)
    await expect(opening).rejects.toMatchObject({ code: 'FLEXI_CONFIG' })
    const messages = await opening.catch((error: { faults: { message: string }[] }) =>
      error.faults.map(({ message }) => message),
    )
    expect(messages).toEqual([
      'f: a Lambda has no option "hanlder"',
      'f: "../x.y" is no handler: ".." may not be in it',
      'f: runtime "cobol85" does not run here',
      'f: a timeout of 901 s cannot be',
      'f: 64 MB of memory cannot be',
    ])
    await rm(directory, { recursive: true })
  })
})
