import { once } from 'node:events'

import { expect, test } from 'vitest'
import { WebSocket } from 'ws'

import { serveProject } from './api-project.ts'

const SERVICE = `provider: { name: aws, runtime: nodejs20.x, region: eu-central-1 }
functions:
  guard: { handler: app.guard }
  rest:
    handler: app.said
    events: [ { http: { path: rest, method: get, authorizer: { name: guard, type: TOKEN } } } ]
  asked:
    handler: app.said
    events: [ { http: { path: asked, method: get, authorizer: { name: guard, type: REQUEST, identitySource: method.request.header.Authorization } } } ]
  group:
    handler: app.group
    events: [ { alb: { listenerArn: a, priority: 1, conditions: { path: /group } } } ]
  socket:
    handler: app.said
    events:
      - websocket: { route: $connect, authorizer: { name: guard, identitySource: [ route.request.header.Authorization ] } }
      - websocket: { route: $default, routeResponseSelectionExpression: $default }
`

const CODE = `
exports.guard = async ({ methodArn }) => ({
  principalId: 'me',
  policyDocument: { Version: '2012-10-17', Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: methodArn }] },
  context: { methodArn },
})
exports.said = async ({ requestContext }) => ({ statusCode: 200, body: requestContext.authorizer.methodArn })
exports.group = async ({ requestContext }) => ({ statusCode: 200, body: requestContext.elb.targetGroupArn })
`

test('ARNs of APIs and target groups are in the region that the project’s files deploy to, because policies name them', async () => {
  await using project = await serveProject({}, { 'serverless.yml': SERVICE, 'app.js': CODE })
  const headers = { authorization: 'one' }
  const ask = async (path: string): Promise<string> =>
    (await fetch(`${project.app.url}${path}`, { headers })).text()
  expect(await ask('/rest')).toMatch(/^arn:aws:execute-api:eu-central-1:123456789012:.*\/GET\/rest$/)
  expect(await ask('/asked')).toMatch(/^arn:aws:execute-api:eu-central-1:123456789012:.*\/GET\/asked$/)
  expect(await ask('/group')).toMatch(
    /^arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup\/service-dev-group\//,
  )
  const socket = new WebSocket(project.app.url.replace('http', 'ws'), { headers })
  try {
    await once(socket, 'open')
    socket.send('hello')
    const [said] = (await once(socket, 'message')) as [Buffer]
    expect(said.toString()).toMatch(/^arn:aws:execute-api:eu-central-1:123456789012:.*\/\$connect$/)
  } finally {
    socket.terminate()
  }
})
