import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import fc from 'fast-check'
import { exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import {
  APIGatewayRequestAuthorizerEventSchema,
  APIGatewayRequestAuthorizerEventV2Schema,
  APIGatewayTokenAuthorizerEventSchema,
} from '@aws-lambda-powertools/parser/schemas'
import { requestEvent, tokenEvent } from '../../../src/emulators/lambda/front-ends/authorizer-event.ts'
import { judgePolicy } from '../../../src/emulators/lambda/front-ends/policy.ts'
import { Remembered } from '../../../src/emulators/lambda/front-ends/remembered.ts'
import type {
  AuthorizerOptions,
  JwtAuthorizerOptions,
  RouteOptions,
} from '../../../src/emulators/lambda/front-ends/route-options.ts'
import { frontEndRequest } from './harness.ts'
import { serveApi, type ServedApi } from './http-harness.ts'

const ARN = 'arn:aws:execute-api:us-east-1:123456789012:api/Prod/GET/pets/1'

describe('a policy', () => {
  const one = (Effect: string, Resource: unknown, more: object = {}): object => ({
    Version: '2012-10-17',
    Statement: [{ Effect, Action: 'execute-api:Invoke', Resource, ...more }],
  })
  const POLICIES: readonly (readonly [rule: string, policy: unknown, decision: string | undefined])[] = [
    ['names a method', one('Allow', ARN), 'allow'],
    [
      'may have one statement without a list',
      { Statement: { Effect: 'Allow', Action: '*', Resource: '*' } },
      'allow',
    ],
    ['has stars that go over slashes', one('Allow', 'arn:aws:execute-api:*:*:api/*'), 'allow'],
    ['has question marks for one character', one('Allow', ARN.replace('pets/1', 'pets/?')), 'allow'],
    ['has no other patterns: a dot is a dot', one('Allow', ARN.replace('pets', 'p.ts')), 'deny'],
    ['compares resources in their case', one('Allow', ARN.toUpperCase()), 'deny'],
    ['compares actions in any case', one('Allow', ARN, { Action: 'Execute-API:invoke' }), 'allow'],
    ['may have lists of resources', one('Allow', ['nothing', ARN]), 'allow'],
    ['may have lists of actions', one('Allow', ARN, { Action: ['s3:Get*', 'execute-api:*'] }), 'allow'],
    ['of another action says nothing', one('Allow', ARN, { Action: 's3:GetObject' }), 'deny'],
    ['that does not name the method denies it', one('Allow', ARN.replace('GET', 'POST')), 'deny'],
    ['without statements denies', { Statement: [] }, 'deny'],
    ['denies', one('Deny', '*'), 'explicit-deny'],
    [
      'denies whatever else allows',
      {
        Statement: [
          { Effect: 'Allow', Action: '*', Resource: '*' },
          { Effect: 'Deny', Action: '*', Resource: ARN },
        ],
      },
      'explicit-deny',
    ],
    [
      'with NotResource names all others',
      one('Deny', undefined, { NotResource: `${ARN}x` }),
      'explicit-deny',
    ],
    ['with NotResource spares what it names', one('Deny', undefined, { NotResource: ARN }), 'deny'],
    [
      'with a condition does not allow, because it cannot be judged here',
      one('Allow', ARN, { Condition: {} }),
      'deny',
    ],
    ['with a condition denies', one('Deny', ARN, { Condition: {} }), 'explicit-deny'],
    ['without Statement is none', { Version: '2012-10-17' }, undefined],
    ['with another effect is none', one('allow', ARN), undefined],
    ['with a number for a resource is none', one('Allow', 1), undefined],
    ['that is a text is none', 'Allow', undefined],
  ]
  test.each(POLICIES)('%s', (_rule, policy, decision) => {
    expect(judgePolicy(policy, ARN)).toBe(decision)
  })

  test('never throws, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.object({ key: fc.constantFrom('Statement', 'Effect', 'Action', 'Resource', 'x') }),
        (policy) => {
          expect(['allow', 'deny', 'explicit-deny', undefined]).toContain(judgePolicy(policy, ARN))
        },
      ),
    )
  })
})

describe('what is remembered', () => {
  test('counts for its time, is shared while it is asked for, and is asked again where it failed', async () => {
    const remembered = new Remembered<number>(60_000, (value) => value > 0)
    let asked = 0
    const ask = (value: number) => async () => {
      asked += 1
      return await Promise.resolve(value)
    }
    await Promise.all([remembered.get('a', ask(1)), remembered.get('a', ask(1))])
    await remembered.get('a', ask(1))
    expect(asked).toBe(1)
    await remembered.get('b', ask(1))
    expect(asked).toBe(2)
    await remembered.get('c', ask(0))
    await remembered.get('c', ask(0))
    expect(asked).toBe(4)
  })

  test('nothing is remembered for 0 seconds', async () => {
    const remembered = new Remembered<number>(0, () => true)
    expect(await remembered.get('a', async () => await Promise.resolve(1))).toBe(1)
    expect(await remembered.get('a', async () => await Promise.resolve(2))).toBe(2)
  })
})

describe('what an authorizer is given', () => {
  const options = (more: Partial<RouteOptions>): RouteOptions => ({
    frontEnd: 'http-api',
    stage: 'test',
    routeKey: 'GET /pets/{id}',
    resource: '/pets/{id}',
    ...more,
  })
  const request = (route: RouteOptions) =>
    frontEndRequest({
      target: '/pets/1?q=1&q=2',
      fields: ['Authorization', 'one', 'Cookie', 'a=1; b=2', 'User-Agent', 'tester'],
      route: { pattern: 'any', parameters: { id: '1' }, options: route },
    })
  const arn = 'arn:aws:execute-api:us-east-1:123456789012:tested/test/GET/pets/1'

  test('a TOKEN authorizer: the token and the method', () => {
    const route = options({ frontEnd: 'rest-api' })
    const event = tokenEvent(request(route), route, 'one')
    expect(event).toEqual({ type: 'TOKEN', methodArn: arn, authorizationToken: 'one' })
    expect(() => APIGatewayTokenAuthorizerEventSchema.parse(event)).not.toThrow()
  })

  test('a REQUEST authorizer of a REST API: the event without a body, and empty maps in place of null', () => {
    const route = options({ frontEnd: 'rest-api' })
    const event = requestEvent(request(route), route, { format: '2.0', identity: ['one'] })
    expect(event).toMatchObject({
      type: 'REQUEST',
      methodArn: arn,
      path: '/pets/1',
      pathParameters: { id: '1' },
      stageVariables: {},
      multiValueQueryStringParameters: { q: ['1', '2'] },
    })
    expect(event).not.toHaveProperty('body')
    expect(event).not.toHaveProperty('isBase64Encoded')
    expect(() =>
      APIGatewayRequestAuthorizerEventSchema.parse(JSON.parse(JSON.stringify(event))),
    ).not.toThrow()
  })

  test('a REQUEST authorizer of an HTTP API, format 2.0', () => {
    const route = options({})
    const event = requestEvent(request(route), route, { format: '2.0', identity: ['one', 'two'] })
    expect(event).toMatchObject({
      version: '2.0',
      type: 'REQUEST',
      routeArn: arn,
      identitySource: ['one', 'two'],
      routeKey: 'GET /pets/{id}',
      cookies: ['a=1', 'b=2'],
    })
    expect(event).not.toHaveProperty('isBase64Encoded')
    expect(() => APIGatewayRequestAuthorizerEventV2Schema.parse(event)).not.toThrow()
  })

  test('a REQUEST authorizer of an HTTP API, format 1.0: single values only', () => {
    const route = options({})
    const event = requestEvent(request(route), route, { format: '1.0', identity: ['one', 'two'] })
    expect(event).toMatchObject({
      version: '1.0',
      type: 'REQUEST',
      methodArn: arn,
      identitySource: 'one,two',
      authorizationToken: 'one,two',
      queryStringParameters: { q: '2' },
    })
    expect(event).not.toHaveProperty('multiValueHeaders')
  })
})

const CODE = `
let count = 0
export const hello = async (event) => event.requestContext.authorizer ?? null
export const rest = async (event) => ({ statusCode: 200, body: JSON.stringify({ ...event.requestContext.authorizer, key: event.requestContext.identity.apiKeyId }) })
const policy = (principalId, Effect, Resource, context) => ({ principalId, policyDocument: { Version: '2012-10-17', Statement: [{ Action: 'execute-api:Invoke', Effect, Resource }] }, context })
export const check = async (event) => {
  count += 1
  const token = event.authorizationToken ?? event.headers?.authorization ?? event.headers?.Authorization
  const arn = event.methodArn ?? event.routeArn
  const api = arn.split('/')[0]
  switch (token) {
    case 'allow': return policy('me', 'Allow', arn, { count, flag: true, type: event.type })
    case 'allow-all': return policy('me', 'Allow', api + '/*', { count })
    case 'deny': return policy('me', 'Deny', arn)
    case 'elsewhere': return policy('me', 'Allow', api + '/Prod/GET/elsewhere')
    case 'unknown': throw new Error('Unauthorized')
    case 'throws': throw new Error('broken')
    case 'nothing': return undefined
    case 'no-principal': return { policyDocument: policy('', 'Allow', arn).policyDocument }
    case 'no-policy': return { principalId: 'me', policyDocument: { Statement: 'x' } }
    case 'deep': return policy('me', 'Allow', arn, { deep: { er: 1 } })
  }
}
export const simple = async (event) => ({ isAuthorized: event.identitySource[0] === 'yes' ? true : event.identitySource[0] === 'odd' ? 'true' : false, context: { who: event.identitySource[0], deep: { er: 1 } } })
`

const FUNCTIONS = ['hello', 'rest', 'check', 'simple']

describe('a REST API with a TOKEN authorizer', () => {
  let api: ServedApi
  const token: AuthorizerOptions = { kind: 'token', function: 'check', ttlSeconds: 0 }
  beforeAll(async () => {
    const of = (authorizer: AuthorizerOptions, more: Partial<RouteOptions> = {}): RouteOptions => ({
      frontEnd: 'rest-api',
      apiId: 'api',
      authorizer,
      ...more,
    })
    api = await serveApi({
      code: CODE,
      functions: FUNCTIONS,
      routes: [
        { route: 'GET /token', function: 'rest', options: of(token) },
        { route: 'GET /valid', function: 'rest', options: of({ ...token, validation: 'allow|deny' }) },
        { route: 'GET /odd', function: 'rest', options: of({ ...token, validation: '(?<' }) },
        { route: 'GET /nobody', function: 'rest', options: of({ ...token, function: 'nobody' }) },
        { route: 'GET /one', function: 'rest', options: of({ kind: 'token', function: 'check' }) },
        { route: 'GET /two', function: 'rest', options: of({ kind: 'token', function: 'check' }) },
        { route: 'GET /short', function: 'rest', options: of({ ...token, ttlSeconds: 0.05 }) },
        {
          route: 'GET /request',
          function: 'rest',
          options: of({
            kind: 'request',
            function: 'check',
            ttlSeconds: 0,
            identitySources: ['method.request.header.Authorization', 'method.request.querystring.q'],
          }),
        },
        {
          route: 'GET /key',
          function: 'rest',
          options: {
            frontEnd: 'rest-api',
            apiKeyRequired: true,
            apiKeys: [{ id: 'first', value: 'secret' }],
          },
        },
        { route: 'GET /keyless', function: 'rest', options: { frontEnd: 'rest-api', apiKeyRequired: true } },
      ],
    })
  })
  afterAll(() => api[Symbol.asyncDispose]())
  const ask = (path: string, authorization?: string) =>
    api.ask(path, authorization === undefined ? {} : { headers: { authorization } })

  test('lets through whom the policy allows, with its context as texts', async () => {
    const { status, body } = await ask('/token', 'allow')
    expect(status).toBe(200)
    expect(JSON.parse(body)).toEqual({
      count: expect.stringMatching(/^\d+$/),
      flag: 'true',
      type: 'TOKEN',
      principalId: 'me',
      integrationLatency: expect.any(Number),
    })
  })

  const REFUSED: readonly (readonly [token: string | undefined, status: number, body: string, type: string])[] = [
    [undefined, 401, '{"message":"Unauthorized"}', 'UnauthorizedException'],
    ['unknown', 401, '{"message":"Unauthorized"}', 'UnauthorizedException'],
    ['elsewhere', 403, '{"Message":"User is not authorized to access this resource"}', 'AccessDeniedException'],
    ['deny', 403, '{"Message":"User is not authorized to access this resource with an explicit deny"}', 'AccessDeniedException'],
    ['throws', 500, '{"message":null}', 'AuthorizerConfigurationException'],
    ['nothing', 500, '{"message":null}', 'AuthorizerConfigurationException'],
    ['no-principal', 500, '{"message":null}', 'AuthorizerConfigurationException'],
    ['no-policy', 500, '{"message":null}', 'AuthorizerConfigurationException'],
    ['deep', 500, '{"message":null}', 'AuthorizerConfigurationException'],
  ] // prettier-ignore
  test.each(REFUSED)('answers the token %s with %d', async (sent, status, body, type) => {
    const answer = await ask('/token', sent)
    expect([answer.status, answer.body, answer.headers['x-amzn-errortype']]).toEqual([status, body, type])
  })

  test('says why an authorizer lets nobody through', async () => {
    api.warnings.length = 0
    await ask('/token', 'throws')
    await ask('/nobody', 'allow')
    expect(api.warnings).toEqual([
      'the authorizer check lets nobody through: it failed: broken',
      'the authorizer nobody lets nobody through: no function is called nobody',
    ])
  })

  test('a token of the wrong form is 401, and the function is not asked', async () => {
    const before = JSON.parse((await ask('/token', 'allow')).body) as { count: string }
    expect((await ask('/valid', 'allowed')).status).toBe(401)
    expect((await ask('/valid', 'allow')).status).toBe(200)
    const after = JSON.parse((await ask('/token', 'allow')).body) as { count: string }
    expect(Number(after.count) - Number(before.count)).toBe(2)
  })

  test('an expression that only Java reads is not checked, so that requests still come through', async () => {
    expect((await ask('/odd', 'allow')).status).toBe(200)
  })

  test('remembers the policy of a token for all routes of the API, as the cloud does', async () => {
    const first = JSON.parse((await ask('/one', 'allow-all')).body) as { count: string }
    const second = JSON.parse((await ask('/two', 'allow-all')).body) as { count: string }
    expect(second.count).toBe(first.count)
    // A policy that names one method denies the others for as long as it is remembered.
    expect((await ask('/one', 'allow')).status).toBe(200)
    expect((await ask('/two', 'allow')).status).toBe(403)
  })

  test('forgets when its time is over', async () => {
    const count = async (): Promise<string> =>
      (JSON.parse((await ask('/short', 'allow')).body) as { count: string }).count
    const first = await count()
    await expect.poll(count).not.toBe(first)
  })

  test('a REQUEST authorizer needs every identity source', async () => {
    expect((await ask('/request', 'allow')).status).toBe(401)
    expect((await ask('/request?q=', 'allow')).status).toBe(401)
    const { status, body } = await ask('/request?q=1', 'allow')
    expect([status, JSON.parse(body)]).toMatchObject([200, { type: 'REQUEST', principalId: 'me' }])
  })

  test('a key that exists opens a route that wants one, and its id is in the event', async () => {
    const refused = { status: 403, body: '{"message":"Forbidden"}' }
    expect(await api.ask('/key')).toMatchObject(refused)
    expect(await api.ask('/key', { headers: { 'x-api-key': 'Secret' } })).toMatchObject(refused)
    expect((await api.ask('/key')).headers['x-amzn-errortype']).toBe('ForbiddenException')
    const { status, body } = await api.ask('/key', { headers: { 'x-api-key': 'secret' } })
    expect([status, JSON.parse(body)]).toEqual([200, { key: 'first' }])
  })

  test('a route that wants a key is closed where there are none', async () => {
    expect((await api.ask('/keyless', { headers: { 'x-api-key': '' } })).status).toBe(403)
  })
})

describe('an HTTP API with a REQUEST authorizer', () => {
  let api: ServedApi
  beforeAll(async () => {
    const of = (more: Partial<Extract<AuthorizerOptions, { kind: 'request' }>>): RouteOptions => ({
      frontEnd: 'http-api',
      apiId: 'api',
      authorizer: {
        kind: 'request',
        function: 'check',
        identitySources: ['$request.header.Authorization'],
        ...more,
      },
    })
    api = await serveApi({
      code: CODE,
      functions: FUNCTIONS,
      routes: [
        {
          route: 'GET /simple',
          function: 'hello',
          options: of({ function: 'simple', simpleResponses: true }),
        },
        { route: 'GET /strict', function: 'hello', options: of({ function: 'simple' }) },
        { route: 'GET /policy', function: 'hello', options: of({}) },
        { route: 'GET /format1', function: 'hello', options: of({ payloadFormat: '1.0' }) },
        { route: 'GET /kept', function: 'hello', options: of({ ttlSeconds: 60 }) },
      ],
    })
  })
  afterAll(() => api[Symbol.asyncDispose]())
  const ask = (path: string, authorization?: string) =>
    api.ask(path, authorization === undefined ? {} : { headers: { authorization } })

  test('a simple answer lets through, with a context of any depth', async () => {
    const { status, body } = await ask('/simple', 'yes')
    expect([status, JSON.parse(body)]).toEqual([200, { lambda: { who: 'yes', deep: { er: 1 } } }])
  })

  const REFUSED: readonly (readonly [
    path: string,
    token: string | undefined,
    status: number,
    body: string,
  ])[] = [
    ['/simple', undefined, 401, '{"message":"Unauthorized"}'],
    ['/simple', 'no', 403, '{"message":"Forbidden"}'],
    ['/simple', 'odd', 500, '{"message":"Internal Server Error"}'],
    ['/strict', 'yes', 500, '{"message":"Internal Server Error"}'],
    ['/policy', 'deny', 403, '{"message":"Forbidden"}'],
    ['/policy', 'unknown', 401, '{"message":"Unauthorized"}'],
    ['/policy', 'throws', 500, '{"message":"Internal Server Error"}'],
  ]
  test.each(REFUSED)('%s answers the token %s with %d', async (path, sent, status, body) => {
    expect(await ask(path, sent)).toMatchObject({ status, body })
  })

  test.each(['/policy', '/format1'])('a policy lets through: %s', async (path) => {
    const { status, body } = await ask(path, 'allow')
    expect([status, JSON.parse(body)]).toMatchObject([200, { lambda: { flag: true, type: 'REQUEST' } }])
  })

  test('asks every time unless told to remember', async () => {
    const count = async (path: string): Promise<number> =>
      (JSON.parse((await ask(path, 'allow')).body) as { lambda: { count: number } }).lambda.count
    expect(await count('/policy')).not.toBe(await count('/policy'))
    expect(await count('/kept')).toBe(await count('/kept'))
  })
})

describe('an HTTP API with a JWT authorizer', () => {
  let api: ServedApi
  let sign: (claims: Record<string, unknown>, more?: { exp?: string; issuer?: string }) => Promise<string>
  const issuerServer = createServer()
  let keys: readonly JWK[] = []
  let origin = ''
  beforeAll(async () => {
    issuerServer.on('request', ({ url }, outgoing) => {
      if (url === '/pool/.well-known/openid-configuration')
        outgoing.end(JSON.stringify({ issuer: `${origin}/pool`, jwks_uri: `${origin}/keys` }))
      else if (url === '/keys') outgoing.end(JSON.stringify({ keys }))
      else outgoing.writeHead(404).end()
    })
    await once(issuerServer.listen(0, '127.0.0.1'), 'listening')
    origin = `http://127.0.0.1:${(issuerServer.address() as AddressInfo).port}`
    const closed = createServer()
    await once(closed.listen(0, '127.0.0.1'), 'listening')
    const gone = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`
    await once(closed.close(), 'close')
    const { publicKey, privateKey } = await generateKeyPair('RS256')
    keys = [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'RS256' }]
    sign = async (claims, { exp = '1h', issuer = `${origin}/pool` } = {}) =>
      await new SignJWT(claims)
        .setProtectedHeader({ alg: 'RS256', kid: 'one' })
        .setIssuer(issuer)
        .setIssuedAt()
        .setExpirationTime(exp)
        .sign(privateKey)
    const of = (more: Partial<JwtAuthorizerOptions> = {}): RouteOptions => ({
      frontEnd: 'http-api',
      authorizer: { kind: 'jwt', issuer: `${origin}/pool`, audience: ['app'], ...more },
    })
    api = await serveApi({
      code: CODE,
      functions: FUNCTIONS,
      routes: [
        { route: 'GET /jwt', function: 'hello', options: of() },
        { route: 'GET /keys', function: 'hello', options: of({ jwksUrl: `${origin}/keys` }) },
        { route: 'GET /scoped', function: 'hello', options: of({ scopes: ['read', 'admin'] }) },
        {
          route: 'GET /query',
          function: 'hello',
          options: of({ identitySource: '$request.querystring.token' }),
        },
        { route: 'GET /gone', function: 'hello', options: of({ issuer: gone }) },
        { route: 'GET /away', function: 'hello', options: of({ issuer: `${origin}/away` }) },
        { route: 'GET /rest', function: 'rest', options: { ...of(), frontEnd: 'rest-api' } },
      ],
    })
  })
  afterAll(async () => {
    await api[Symbol.asyncDispose]()
    issuerServer.close()
  })
  const ask = (path: string, token?: string) =>
    api.ask(path, token === undefined ? {} : { headers: { authorization: token } })

  test.each(['/jwt', '/keys'])('lets a good token through, with its claims as texts: %s', async (path) => {
    const token = await sign({ aud: 'app', sub: 'me', admin: true, 'cognito:groups': ['a', 'b'] })
    for (const sent of [`Bearer ${token}`, token]) {
      const { status, body } = await ask(path, sent)
      expect(status).toBe(200)
      expect(JSON.parse(body)).toMatchObject({
        jwt: {
          claims: {
            aud: 'app',
            sub: 'me',
            admin: 'true',
            'cognito:groups': '[a b]',
            exp: expect.stringMatching(/^\d+$/),
          },
          scopes: null,
        },
      })
    }
  })

  test('client_id stands for the audience where there is none', async () => {
    expect((await ask('/jwt', await sign({ client_id: 'app' }))).status).toBe(200)
    expect((await ask('/jwt', await sign({ aud: 'other', client_id: 'app' }))).status).toBe(401)
  })

  test('the token may be somewhere else', async () => {
    expect((await api.ask(`/query?token=${await sign({ aud: 'app' })}`)).status).toBe(200)
  })

  test('no token is 401, with a challenge', async () => {
    const { status, body, headers } = await ask('/jwt')
    expect([status, body, headers['www-authenticate']]).toEqual([401, '{"message":"Unauthorized"}', 'Bearer'])
  })

  test('what is wrong with a token is in the challenge', async () => {
    const { privateKey } = await generateKeyPair('RS256')
    const forged = await new SignJWT({ aud: 'app' })
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .setIssuer(`${origin}/pool`)
      .sign(privateKey)
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"aud":"app"}').toString('base64url')}.`
    const bad = [
      'nonsense', forged, unsigned,
      await sign({ aud: 'other' }),
      await sign({ aud: 'app' }, { exp: '1s ago' }),
      await sign({ aud: 'app' }, { issuer: 'https://other.test' }),
    ] // prettier-ignore
    for (const token of bad) {
      const { status, headers } = await ask('/jwt', token)
      expect([token, status]).toEqual([token, 401])
      expect(headers['www-authenticate']).toMatch(/^Bearer error="invalid_token" error_description="[^"]+"$/)
    }
  })

  test('one of the scopes is enough, and none is 403', async () => {
    const { body } = await ask('/scoped', await sign({ aud: 'app', scope: 'write read' }))
    expect(JSON.parse(body)).toMatchObject({ jwt: { scopes: ['write', 'read'] } })
    expect((await ask('/scoped', await sign({ aud: 'app', scp: ['admin'] }))).status).toBe(200)
    expect(await ask('/scoped', await sign({ aud: 'app', scope: 'write' }))).toMatchObject({
      status: 403,
      body: '{"message":"Forbidden"}',
    })
  })

  test('a key that the issuer has made since is found', async () => {
    const { publicKey, privateKey } = await generateKeyPair('RS256')
    keys = [...keys, { ...(await exportJWK(publicKey)), kid: 'two', alg: 'RS256' }]
    const token = await new SignJWT({ aud: 'app' })
      .setProtectedHeader({ alg: 'RS256', kid: 'two' })
      .setIssuer(`${origin}/pool`)
      .sign(privateKey)
    await expect.poll(async () => (await ask('/jwt', token)).status, { timeout: 3_000 }).toBe(200)
  })

  test('an issuer that does not answer is 500, and said so', async () => {
    api.warnings.length = 0
    expect((await ask('/gone', await sign({ aud: 'app' }))).status).toBe(500)
    expect(api.warnings).toEqual([expect.stringMatching(/cannot be checked: fetch failed: .*ECONNREFUSED/)])
  })

  test('an issuer without keys is 500, and said so', async () => {
    api.warnings.length = 0
    expect((await ask('/away', await sign({ aud: 'app' }))).status).toBe(500)
    expect(api.warnings).toEqual([
      expect.stringContaining('/away/.well-known/openid-configuration answered 404'),
    ])
  })

  test('a REST API has the claims where a user pool puts them', async () => {
    const { body } = await ask('/rest', await sign({ aud: 'app', sub: 'me' }))
    expect(JSON.parse(body)).toMatchObject({ claims: { sub: 'me' } })
  })
})
