import { once } from 'node:events'
import { rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'

import { startApp, type App } from '../../../src/app.ts'
import type { DevEvent } from '../../../src/core/events.ts'
import { temporaryFolder, type Files } from './harness.ts'

const SERVERLESS = `
service: chat
provider:
  name: aws
  runtime: nodejs20.x
functions:
  life:
    handler: app.life
    events:
      - websocket: $connect
      - websocket: $disconnect
  send:
    handler: app.send
    events:
      - websocket: { route: send }
  echo:
    handler: app.echo
    events:
      - websocket: { route: echo, routeResponseSelectionExpression: $default }
  site:
    handler: app.site
    events:
      - httpApi: '*'
`

const code = (version: string): string => `
import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi'
export const life = async () => ({ statusCode: 200 })
export const echo = async (event) => ({ statusCode: 200, body: '${version} ' + JSON.parse(event.body).data })
export const site = async () => 'a page'
export const send = async ({ requestContext: { domainName, stage, connectionId } }) => {
  const endpoint = process.env.AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI ?? \`http://\${domainName}/\${stage}\`
  const client = new ApiGatewayManagementApiClient({ endpoint })
  await client.send(new PostToConnectionCommand({ ConnectionId: connectionId, Data: 'sent' }))
  return { statusCode: 200 }
}
`

const TEMPLATE = `
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Resources:
  Chat:
    Type: AWS::ApiGatewayV2::Api
    Properties:
      Name: Chat
      ProtocolType: WEBSOCKET
      RouteSelectionExpression: $request.body.kind
  EchoRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      ApiId: !Ref Chat
      RouteKey: echo
      RouteResponseSelectionExpression: $default
      Target: !Join ['/', [integrations, !Ref EchoIntegration]]
  EchoIntegration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Chat
      IntegrationType: AWS_PROXY
      IntegrationUri: !Sub arn:aws:apigateway:\${AWS::Region}:lambda:path/2015-03-31/functions/\${Echo.Arn}/invocations
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    Properties:
      StageName: live
      ApiId: !Ref Chat
  Echo:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: nodejs20.x
      Handler: app.echo
      CodeUri: .
`

interface Served extends AsyncDisposable {
  readonly app: App
  readonly directory: string
  readonly events: readonly DevEvent[]
  readonly url: string
}

async function serve(files: Files): Promise<Served> {
  const directory = await temporaryFolder(files)
  await symlink(join(import.meta.dirname, '../../../node_modules'), join(directory, 'node_modules'))
  const events: DevEvent[] = []
  const app = await startApp({
    directory,
    mode: 'dev',
    port: 0,
    portIsFixed: true,
    environment: {},
    watch: true,
    startedAt: 0,
    onEvent: (event) => events.push(event),
  })
  return {
    app,
    directory,
    events,
    url: app.url.replace(/^http/, 'ws'),
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

const open: WebSocket[] = []
afterEach(() => {
  for (const socket of open.splice(0)) socket.terminate()
})

async function connect(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url)
  open.push(socket)
  await once(socket, 'open')
  return socket
}

async function ask(socket: WebSocket, message: object): Promise<string> {
  socket.send(JSON.stringify(message))
  const [data] = (await once(socket, 'message')) as [Buffer]
  return data.toString()
}

describe('the WebSocket API of a project', () => {
  test('is served beside its HTTP API, and functions send to its connections', async () => {
    await using served = await serve({ 'serverless.yml': SERVERLESS, 'app.mjs': code('one') })
    for (const path of ['/dev', '/']) {
      const socket = await connect(`${served.url}${path}`)
      expect(await ask(socket, { action: 'echo', data: 'hello' })).toBe('one hello')
      expect(await ask(socket, { action: 'send' })).toBe('sent')
    }
    for (const path of ['/', '/dev', '/other'])
      expect(await (await fetch(`${served.app.url}${path}`)).text()).toBe('a page')
  })

  test('keeps its connections over new code and new routes', async () => {
    await using served = await serve({ 'serverless.yml': SERVERLESS, 'app.mjs': code('one') })
    const socket = await connect(`${served.url}/dev`)
    await writeFile(join(served.directory, 'app.mjs'), code('two'))
    await expect.poll(() => ask(socket, { action: 'echo', data: 1 }), { timeout: 5_000 }).toBe('two 1')
    await writeFile(
      join(served.directory, 'serverless.yml'),
      SERVERLESS.replace('route: echo', 'route: shout'),
    )
    await expect.poll(() => ask(socket, { action: 'shout', data: 1 }), { timeout: 5_000 }).toBe('two 1')
    expect(await ask(socket, { action: 'echo', data: 1 })).toContain('"message": "Forbidden"')
    expect(socket.readyState).toBe(WebSocket.OPEN)
  })

  test('tells its clients to go when flexi stops', async () => {
    const served = await serve({ 'serverless.yml': SERVERLESS, 'app.mjs': code('one') })
    const socket = await connect(`${served.url}/dev`)
    const closed = once(socket, 'close')
    await served[Symbol.asyncDispose]()
    expect((await closed)[0]).toBe(1001)
  })

  test('may stand in a template', async () => {
    await using served = await serve({ 'template.yaml': TEMPLATE, 'app.mjs': code('one') })
    const socket = await connect(`${served.url}/live`)
    expect(await ask(socket, { kind: 'echo', data: 'hello' })).toBe('one hello')
  })
})
