import { describe, expect, test } from 'vitest'

import { APP, detect, errors, optionsOf, patterns, warnings } from './detect-harness.ts'

const HEAD = `service: shop
provider:
  name: aws
  runtime: nodejs20.x
  stage: \${opt:stage, 'dev'}
  region: eu-central-1
params: { default: { size: small, kind: d }, dev: { kind: of-dev } }
stages: { default: { params: { deep: base } } }
custom:
  names: { dev: of-dev }
  list: [a, b]
  other: \${file(./other.yml)}
  a: \${self:custom.b}
  b: \${self:custom.a}
resources:
  Resources:
    Table: { Type: AWS::DynamoDB::Table, Properties: { TableName: 'items-\${sls:stage}' } }
functions:
  f:
    handler: app.handler
    environment:
      V: `

const FILES = {
  'app.mjs': APP,
  'other.yml': 'one: { two: 2, again: "${self:custom.names.dev}" }\nlist: [x, y]\n',
  'names.dev.json': '{"a":{"b":"json"}}',
  'secret.txt': 'from text\n',
  'data.js': 'module.exports = {}',
}

const VALUES: readonly (readonly [written: string, value: string])[] = [
  ['${self:service}', 'shop'],
  ['${self:provider.stage}', 'dev'],
  ['${sls:stage}', 'dev'],
  ['${opt:stage}', 'dev'],
  ["${opt:other, 'fallback'}", 'fallback'],
  ['${env:TOKEN}', 'secret'],
  ["${env:NONE, env:NONE2, 'x'}", 'x'],
  ['${env:NONE, self:custom.names.${sls:stage}}', 'of-dev'],
  ['${self:custom.list.1}', 'b'],
  ['pre-${self:custom.names.dev}-${sls:stage}-post', 'pre-of-dev-dev-post'],
  ['${file(./other.yml):one.two}', '2'],
  ['${file(./other.yml):one.again}', 'of-dev'],
  ['${file(./names.${sls:stage}.json):a.b}', 'json'],
  ['${file(secret.txt)}', 'from text'],
  ["${file(./none.yml):a, 'absent'}", 'absent'],
  ['${self:custom.other.one.two}', '2'],
  ['${param:size}', 'small'],
  ['${param:kind}', 'of-dev'],
  ['${param:deep}', 'base'],
  ['${aws:accountId}', '123456789012'],
  ["${strToBool(${env:NONE, 'true'})}", 'true'],
  ['${env:NONE, 5}', '5'],
  ['{ Ref: Table }', 'items-dev'],
  ['!Ref Table', 'items-dev'],
  ['{ Fn::GetAtt: [Table, Arn] }', 'arn:aws:dynamodb:eu-central-1:123456789012:table/items-dev'],
  ['!GetAtt Table.Arn', 'arn:aws:dynamodb:eu-central-1:123456789012:table/items-dev'],
  ["{ Fn::Sub: '${AWS::Region}/${Table}/${sls:stage}' }", 'eu-central-1/items-dev/dev'],
  ["{ Fn::Join: ['-', [a, { Ref: 'AWS::AccountId' }]] }", 'a-123456789012'],
]

describe('variables', () => {
  test.each(VALUES)('%s', async (written, value) => {
    const quoted = written.startsWith('{') || written.startsWith('!') ? written : JSON.stringify(written)
    const found = await detect({ ...FILES, 'serverless.yml': HEAD + quoted }, { TOKEN: 'secret' })
    expect(errors(found)).toEqual([])
    expect(found.functions[0]?.environment).toEqual({ V: value })
    expect(warnings(found)).toEqual(['AWS::DynamoDB::Table is not emulated: Table'])
  })

  const UNRESOLVED: readonly (readonly [written: string, message: string])[] = [
    ['${ssm:/a}', '${ssm:/a} has no value here; it is empty'],
    ['${cf:stack.Out}', '${cf:stack.Out} has no value here; it is empty'],
    ['${env:NONE}', '${env:NONE} has no value here; it is empty'],
    ['${file(./data.js):x}', './data.js is code, which is not run to read a configuration'],
    ['${self:custom.a}', 'this refers to itself'],
  ]
  test.each(UNRESOLVED)('%s is told, and the function is served', async (written, message) => {
    const found = await detect({ ...FILES, 'serverless.yml': HEAD + written })
    expect(found.functions).toHaveLength(1)
    expect(warnings(found)).toContain(message)
  })

  test('files that were read are watched', async () => {
    const found = await detect({ ...FILES, 'serverless.yml': `${HEAD}\${file(secret.txt)}` })
    expect(found.files.map((file) => file.slice(found.directory.length + 1))).toContain('secret.txt')
  })
})

describe('functions', () => {
  test('may be kept in files: the whole map, a list of maps, or one', async () => {
    const wholes = {
      'functions: ${file(./fns.yml)}': ['a', 'b'],
      'functions: [ "${file(./fns.yml)}", { c: { handler: app.handler } } ]': ['a', 'b', 'c'],
      'functions: { one: "${file(./fns.yml):a}" }': ['one'],
    }
    for (const [line, names] of Object.entries(wholes)) {
      const found = await detect({
        'serverless.yml': `provider: { name: aws, runtime: nodejs20.x }\n${line}\n`,
        'fns.yml': 'a: { handler: app.handler }\nb:\n  handler: none.handler\n',
        'app.mjs': APP,
      })
      expect(found.functions.map(({ name }) => name)).toEqual(names)
      // A fault in such a file has its place there.
      if (names.includes('b'))
        expect(found.faults).toMatchObject([
          { severity: 'warning', place: { file: `${found.directory}/fns.yml`, line: 3 } },
        ])
    }
  })

  test('a provider, and events, may be kept in files too', async () => {
    const found = await detect({
      'serverless.yml':
        'provider: ${file(provider.yml)}\nfunctions: { f: { handler: src/app.handler, events: "${file(events.yml)}" } }\n',
      'provider.yml': 'name: aws\nruntime: nodejs20.x\ntimeout: 3\n',
      'events.yml': '- httpApi: GET /x\n- http: { path: /y, method: post }\n',
      'src/app.mjs': APP,
    })
    expect(found.functions).toMatchObject([{ timeoutMs: 3_000, options: { runtime: 'nodejs20.x' } }])
    expect(patterns(found)).toEqual(['GET /x', 'POST /y'])
  })

  test('a configuration may be JSON', async () => {
    const found = await detect({
      'serverless.json': JSON.stringify({
        provider: { name: 'aws' },
        functions: { f: { handler: 'app.handler', runtime: 'nodejs22.x', timeout: 4 } },
      }),
      'app.mjs': APP,
    })
    expect(found.functions).toMatchObject([
      { name: 'f', timeoutMs: 4_000, options: { runtime: 'nodejs22.x' } },
    ])
  })
})

const EVENTS = `service: shop
provider:
  name: aws
  runtime: nodejs20.x
  stage: v1
  httpApi:
    payload: '1.0'
    cors: { allowedOrigins: [https://a.test], allowedMethods: [GET], maxAge: 9, exposedResponseHeaders: [x-b] }
    authorizers:
      jwt: { type: jwt, identitySource: $request.header.Authorization, issuerUrl: https://i.test, audience: [me] }
      own: { type: request, functionName: guard, identitySource: [$request.header.A], enableSimpleResponses: true, resultTtlInSeconds: 4 }
  apiGateway:
    binaryMediaTypes: ['image/png']
    apiKeys: [{ name: first, value: value-of-first }, second]
functions:
  guard: { handler: app.handler, url: { cors: true } }
  f:
    handler: app.handler
    url: { cors: { allowedOrigins: [https://u.test], allowCredentials: true }, authorizer: aws_iam, invokeMode: RESPONSE_STREAM }
    events:
      - httpApi: { method: get, path: /jwt, authorizer: { name: jwt, scopes: [read] } }
      - httpApi: { method: get, path: /own, authorizer: own }
      - httpApi: { method: get, path: /lost, authorizer: none-such }
      - http: { path: token, method: get, private: true, authorizer: guard }
      - http: { path: whole, method: get, authorizer: { name: guard, type: request, identitySource: 'method.request.header.A, method.request.querystring.b', resultTtlInSeconds: 0 } }
      - http: { path: cors, method: get, cors: { origin: https://a.test, headers: [x-a], allowCredentials: true } }
      - http: { path: iam, method: get, authorizer: aws_iam }
      - alb: { listenerArn: x, priority: 2, conditions: { path: /lb/* } }
      - alb: { listenerArn: x, priority: 1, conditions: { path: [/one, /two], method: [GET, POST] } }
      - alb: { listenerArn: y, priority: 7, conditions: { path: /a*b, method: any, host: [a.test, b.test], header: { name: x-a, values: [one] }, query: { q: true }, ip: [10.0.0.0/8] } }
      - alb: { listenerArn: y, priority: 8, conditions: { path: /plain } }
      - websocket: $connect
      - sqs: arn
`

describe('events', () => {
  const FILES_WITH_EVENTS = { 'serverless.yml': EVENTS, 'app.mjs': APP }

  test('HTTP API: CORS, authorizers and the payload format of the provider', async () => {
    const found = await detect(FILES_WITH_EVENTS)
    expect(errors(found)).toEqual([])
    expect(optionsOf(found, 'GET /jwt')).toMatchObject({
      frontEnd: 'http-api',
      payloadFormat: '1.0',
      cors: { allowOrigins: ['https://a.test'], allowMethods: ['GET'], maxAge: 9, exposeHeaders: ['x-b'] },
      authorizer: { kind: 'jwt', issuer: 'https://i.test', audience: ['me'], scopes: ['read'] },
    })
    expect(optionsOf(found, 'GET /own')).toMatchObject({
      authorizer: {
        kind: 'request',
        function: 'guard',
        identitySources: ['$request.header.A'],
        ttlSeconds: 4,
        payloadFormat: '2.0',
        simpleResponses: true,
      },
    })
    expect(optionsOf(found, 'OPTIONS (preflight)')).toMatchObject({ preflight: true })
  })

  test('REST API: keys, authorizers, types and the preflight of a path', async () => {
    const found = await detect(FILES_WITH_EVENTS)
    expect(optionsOf(found, 'GET /token')).toMatchObject({
      frontEnd: 'rest-api',
      stage: 'v1',
      binaryMediaTypes: ['image/png'],
      apiKeyRequired: true,
      apiKeys: [
        { id: 'first', value: 'value-of-first' },
        { id: 'second', value: 'flexi-local-api-key' },
      ],
      authorizer: { kind: 'token', function: 'guard' },
    })
    expect(optionsOf(found, 'GET /whole')).toMatchObject({
      authorizer: {
        kind: 'request',
        identitySources: ['method.request.header.A', 'method.request.querystring.b'],
        ttlSeconds: 0,
      },
    })
    expect(optionsOf(found, 'OPTIONS /cors')).toMatchObject({
      preflight: true,
      cors: {
        allowOrigins: ['https://a.test'],
        allowHeaders: ['x-a'],
        allowMethods: ['OPTIONS', 'GET'],
        allowCredentials: true,
      },
    })
  })

  test('load balancers: a route for each path and method', async () => {
    const found = await detect(FILES_WITH_EVENTS)
    expect(patterns(found)).toEqual(
      expect.arrayContaining(['GET /one', 'POST /one', 'GET /two', 'POST /two', 'ANY /lb/*']),
    )
    expect(optionsOf(found, 'GET /one')).toEqual({ frontEnd: 'alb', multiValueHeaders: false })
    expect(found.routes.find(({ pattern }) => pattern === 'ANY /lb/*')?.matcher).toMatchObject({
      segments: [
        { kind: 'literal', text: 'lb' },
        { kind: 'greedy', name: 'rest' },
      ],
    })
  })

  test('load balancers: a listener whose rules look at more is asked itself, with all its rules', async () => {
    const found = await detect(FILES_WITH_EVENTS)
    const rules = found.routes.filter(({ pattern }) => pattern.startsWith('rule '))
    expect(
      rules.map(({ pattern }) => (optionsOf(found, pattern) as { readonly listener?: unknown }).listener),
    ).toEqual([
      {
        name: 'load balancers',
        priority: 7,
        conditions: {
          path: ['/a*b'],
          host: ['a.test', 'b.test'],
          headers: [{ name: 'x-a', values: ['one'] }],
          query: [{ key: 'q', value: 'true' }],
          ip: ['10.0.0.0/8'],
        },
      },
      { name: 'load balancers', priority: 8, conditions: { path: ['/plain'] } },
    ])
    expect(rules.map(({ pattern }) => pattern)).toEqual([
      'rule 7: /a*b, a.test b.test, x-a, ?q=true, 10.0.0.0/8',
      'rule 8: /plain',
    ])
  })

  test('a function’s own address', async () => {
    const found = await detect(FILES_WITH_EVENTS)
    expect(found.functions[0]?.options).toMatchObject({ url: { cors: { allowOrigins: ['*'] } } })
    expect(found.functions[1]?.options).toMatchObject({
      url: { cors: { allowOrigins: ['https://u.test'], allowCredentials: true } },
    })
  })

  test('what is not emulated is told', async () => {
    expect(warnings(await detect(FILES_WITH_EVENTS))).toEqual([
      'signatures are not checked: this function URL answers everyone',
      'the authorizer none-such is not emulated: nobody is asked who they are',
      'signatures are not checked: this route answers everyone',
      'f: "arn" is no ARN of a queue or stream; nothing is polled',
    ])
  })
})
