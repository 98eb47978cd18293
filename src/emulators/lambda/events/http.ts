import { newTrace } from '../trace.ts'
import { requestTime } from '../front-ends/front-end.ts'
import { restIdentity } from '../front-ends/format-1.ts'
import { ACCOUNT, follow, REGION, textAt, type JsonObject, type Sample } from './sample.ts'

const ID = '6f0d8f5c-31a4-4b52-9c6e-5d0f7a1b2c3d'
const AGENT = 'curl/8.5.0'
const CLIENT = '203.0.113.7'
const PATH = '/people/42'
const BODY = '{"name":"Ada"}'

const PATHS = { path: { path: 'rawPath' }, method: { path: 'requestContext.http.method' } }
const PATHS_1 = { method: { path: 'httpMethod' } }

/** Events of what answers HTTP. */
export const httpSamples: readonly Sample[] = [
  {
    source: 'aws:function-url',
    description: 'A request to a function URL (payload format 2.0)',
    short: PATHS,
    settle: settleFormat2,
    make: (now) =>
      format2(now, {
        host: 'abcdefghij.lambda-url.us-east-1.on.aws',
        routeKey: '$default',
        accountId: 'anonymous',
      }),
  },
  {
    source: 'aws:http-api',
    description: 'A request to an HTTP API of API Gateway (payload format 2.0)',
    short: PATHS,
    settle: settleFormat2,
    make: (now) => ({
      ...format2(now, {
        host: 'abcdefghij.execute-api.us-east-1.amazonaws.com',
        routeKey: 'POST /people/{id}',
        accountId: ACCOUNT,
      }),
      pathParameters: { id: '42' },
    }),
  },
  {
    source: 'aws:rest-api',
    description: 'A request to a REST API of API Gateway (payload format 1.0)',
    short: PATHS_1,
    make: restApi,
    settle: settleRest,
  },
  {
    source: 'aws:alb',
    description: 'A request through an Application Load Balancer',
    short: PATHS_1,
    settle: settleLength,
    make: (now) => ({
      requestContext: {
        elb: {
          targetGroupArn: `arn:aws:elasticloadbalancing:${REGION}:${ACCOUNT}:targetgroup/people/0123456789abcdef`,
        },
      },
      httpMethod: 'POST',
      path: PATH,
      queryStringParameters: { page: '1' },
      headers: lowerCaseHeaders(now, 'people.example.com'),
      body: BODY,
      isBase64Encoded: false,
    }),
  },
]

/** What a request says twice. */
function settleFormat2(event: JsonObject): void {
  const path = textAt(event, 'rawPath')
  const query = path.indexOf('?')
  if (query !== -1) {
    event['rawPath'] = path.slice(0, query)
    event['rawQueryString'] = path.slice(query + 1)
    event['queryStringParameters'] = joined(new URLSearchParams(path.slice(query + 1)))
  }
  follow(event, 'requestContext.http.path', { sampled: PATH, value: event['rawPath'] })
  settleLength(event)
}

/** Format 2.0 has a parameter's values in one text. */
function joined(query: URLSearchParams): JsonObject {
  const names = [...new Set(query.keys())]
  return Object.fromEntries(names.map((name) => [name, query.getAll(name).join(',')]))
}

function settleRest(event: JsonObject): void {
  follow(event, 'requestContext.httpMethod', { sampled: 'POST', value: event['httpMethod'] })
  follow(event, 'requestContext.path', { sampled: `/prod${PATH}`, value: `/prod${textAt(event, 'path')}` })
}

function settleLength(event: JsonObject): void {
  if (typeof event['body'] !== 'string') return
  const value = String(Buffer.byteLength(event['body']))
  follow(event, 'headers.content-length', { sampled: String(BODY.length), value })
}

function lowerCaseHeaders(now: Date, host: string): JsonObject {
  return {
    accept: '*/*',
    'content-length': String(BODY.length),
    'content-type': 'application/json',
    host,
    'user-agent': AGENT,
    'x-amzn-trace-id': newTrace(ID, now.getTime()),
    'x-forwarded-for': CLIENT,
    'x-forwarded-port': '443',
    'x-forwarded-proto': 'https',
  }
}

function format2(
  now: Date,
  { host, routeKey, accountId }: { host: string; routeKey: string; accountId: string },
): JsonObject {
  const prefix = host.split('.')[0] ?? host
  const path = PATH
  return {
    version: '2.0',
    routeKey,
    rawPath: path,
    rawQueryString: 'page=1',
    cookies: ['session=abc'],
    headers: { ...lowerCaseHeaders(now, host), cookie: 'session=abc' },
    queryStringParameters: { page: '1' },
    requestContext: {
      accountId,
      apiId: prefix,
      domainName: host,
      domainPrefix: prefix,
      http: { method: 'POST', path, protocol: 'HTTP/1.1', sourceIp: CLIENT, userAgent: AGENT },
      requestId: ID,
      routeKey,
      stage: '$default',
      time: requestTime(now.getTime()),
      timeEpoch: now.getTime(),
    },
    body: BODY,
    isBase64Encoded: false,
  }
}

function restApi(now: Date): JsonObject {
  const host = 'abcdefghij.execute-api.us-east-1.amazonaws.com'
  const headers: JsonObject = {
    Accept: '*/*',
    'Content-Type': 'application/json',
    Host: host,
    'User-Agent': AGENT,
    'X-Amzn-Trace-Id': newTrace(ID, now.getTime()),
    'X-Forwarded-For': CLIENT,
    'X-Forwarded-Port': '443',
    'X-Forwarded-Proto': 'https',
  }
  return {
    resource: '/people/{id}',
    path: PATH,
    httpMethod: 'POST',
    headers,
    multiValueHeaders: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]])),
    queryStringParameters: { page: '1' },
    multiValueQueryStringParameters: { page: ['1'] },
    pathParameters: { id: '42' },
    stageVariables: null,
    requestContext: restContext(now, host),
    body: BODY,
    isBase64Encoded: false,
  }
}

function restContext(now: Date, host: string): JsonObject {
  return {
    accountId: ACCOUNT,
    apiId: 'abcdefghij',
    deploymentId: 'a1b2c3',
    domainName: host,
    domainPrefix: 'abcdefghij',
    extendedRequestId: 'Kq3xT0aRoAMFvXg=',
    httpMethod: 'POST',
    identity: restIdentity(CLIENT, AGENT),
    path: `/prod${PATH}`,
    protocol: 'HTTP/1.1',
    requestId: ID,
    requestTime: requestTime(now.getTime()),
    requestTimeEpoch: now.getTime(),
    resourceId: 'x1y2z3',
    resourcePath: '/people/{id}',
    stage: 'prod',
  }
}
