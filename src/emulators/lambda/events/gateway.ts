import { requestTime } from '../front-ends/front-end.ts'
import { ACCOUNT, REGION, type JsonObject, type Sample } from './sample.ts'

const API = 'abcdefghij'
const HOST = `${API}.execute-api.${REGION}.amazonaws.com`
const CLIENT = '203.0.113.7'
const ID = '6f0d8f5c-31a4-4b52-9c6e-5d0f7a1b2c3d'
const TOKEN = 'Bearer a-token'

function methodArn(stage: string, rest: string): string {
  return `arn:aws:execute-api:${REGION}:${ACCOUNT}:${API}/${stage}/${rest}`
}

/** Events of gateways that are no plain request to a function. */
export const gatewaySamples: readonly Sample[] = [
  {
    source: 'aws:websocket',
    description: 'A message of a WebSocket API of API Gateway',
    short: { body: { path: 'body' }, routeKey: { path: 'requestContext.routeKey' } },
    make: (now) => ({
      requestContext: {
        ...connection(now, { routeKey: '$default', eventType: 'MESSAGE' }),
        messageId: 'Kq3xTcDIoAMCLvg=',
      },
      body: '{"action":"send","text":"hello"}',
      isBase64Encoded: false,
    }),
  },
  {
    source: 'aws:websocket-connect',
    description: 'Somebody connects to a WebSocket API of API Gateway',
    make: (now) => ({
      headers: { Host: HOST, 'Sec-WebSocket-Version': '13', 'X-Forwarded-For': CLIENT },
      multiValueHeaders: { Host: [HOST], 'Sec-WebSocket-Version': ['13'], 'X-Forwarded-For': [CLIENT] },
      requestContext: connection(now, { routeKey: '$connect', eventType: 'CONNECT' }),
      isBase64Encoded: false,
    }),
  },
  {
    source: 'aws:authorizer-token',
    description: 'A REST API asks an authorizer about a token',
    short: { token: { path: 'authorizationToken' } },
    make: () => ({ type: 'TOKEN', authorizationToken: TOKEN, methodArn: methodArn('prod', 'GET/people/42') }),
  },
  {
    source: 'aws:authorizer-http',
    description: 'An HTTP API asks an authorizer about a request (format 2.0)',
    short: { token: { path: 'headers.authorization' } },
    make: httpAuthorizer,
    settle(event) {
      const headers = event['headers'] as JsonObject
      event['identitySource'] = [headers['authorization'] ?? '']
    },
  },
  {
    source: 'aws:vpc-lattice',
    description: 'A request through a service of VPC Lattice',
    make: lattice,
  },
]

function connection(
  now: Date,
  { routeKey, eventType }: { readonly routeKey: string; readonly eventType: string },
): JsonObject {
  return {
    routeKey,
    eventType,
    extendedRequestId: 'Kq3xTEUeoAMFvXg=',
    requestTime: requestTime(now.getTime()),
    messageDirection: 'IN',
    stage: 'prod',
    connectedAt: now.getTime(),
    requestTimeEpoch: now.getTime(),
    identity: { sourceIp: CLIENT, userAgent: 'curl/8.5.0' },
    requestId: 'Kq3xTEUeoAMFvXg=',
    domainName: HOST,
    connectionId: 'Kq3xTcDIoAMCLvg=',
    apiId: API,
  }
}

function httpAuthorizer(now: Date): JsonObject {
  return {
    version: '2.0',
    type: 'REQUEST',
    routeArn: methodArn('$default', 'GET/people/42'),
    identitySource: [TOKEN],
    routeKey: 'GET /people/{id}',
    rawPath: '/people/42',
    rawQueryString: 'page=1',
    cookies: [],
    headers: { authorization: TOKEN, host: HOST, 'x-forwarded-for': CLIENT },
    queryStringParameters: { page: '1' },
    requestContext: {
      accountId: ACCOUNT,
      apiId: API,
      domainName: HOST,
      domainPrefix: API,
      http: {
        method: 'GET',
        path: '/people/42',
        protocol: 'HTTP/1.1',
        sourceIp: CLIENT,
        userAgent: 'curl/8.5.0',
      },
      requestId: ID,
      routeKey: 'GET /people/{id}',
      stage: '$default',
      time: requestTime(now.getTime()),
      timeEpoch: now.getTime(),
    },
    pathParameters: { id: '42' },
    stageVariables: {},
  }
}

function lattice(now: Date): JsonObject {
  const arn = (rest: string): string => `arn:aws:vpc-lattice:${REGION}:${ACCOUNT}:${rest}`
  return {
    version: '2.0',
    path: '/people/42',
    method: 'GET',
    headers: { host: 'people.example.com', 'user-agent': 'curl/8.5.0', 'x-forwarded-for': CLIENT },
    queryStringParameters: { page: '1' },
    isBase64Encoded: false,
    requestContext: {
      serviceNetworkArn: arn('servicenetwork/sn-0123456789abcdef0'),
      serviceArn: arn('service/svc-0123456789abcdef0'),
      targetGroupArn: arn('targetgroup/tg-0123456789abcdef0'),
      region: REGION,
      timeEpoch: String(now.getTime() * 1000),
      identity: { sourceVpcArn: `arn:aws:ec2:${REGION}:${ACCOUNT}:vpc/vpc-0123456789abcdef0` },
    },
  }
}
