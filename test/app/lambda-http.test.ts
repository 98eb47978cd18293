import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { startApp, type App } from '../../src/app.ts'
import type { DevEvent } from '../../src/core/events.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import { temporaryFolder } from '../emulators/lambda/harness.ts'

const CODE = `
export const authorize = async ({ authorizationToken, methodArn }) => ({
  principalId: authorizationToken,
  policyDocument: { Statement: [{ Effect: authorizationToken === 'yes' ? 'Allow' : 'Deny', Action: 'execute-api:Invoke', Resource: methodArn }] },
})
export const hello = async (event) => ({ statusCode: 200, headers: { 'content-type': 'text/plain' }, body: event.requestContext.authorizer?.principalId ?? 'anyone' })
`

const functions = (hello: string): string => `
  Authorizer:
    Type: AWS::Serverless::Function
    Properties: { Handler: app.authorize, Runtime: nodejs20.x }
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.hello
      Runtime: nodejs20.x
${hello}`

const REST = `
Resources:
  Rest:
    Type: AWS::Serverless::Api
    Properties:
      StageName: Prod
      Auth:
        DefaultAuthorizer: Token
        Authorizers:
          Token: { FunctionArn: !GetAtt Authorizer.Arn }
${functions(`      Events:
        Get: { Type: Api, Properties: { RestApiId: !Ref Rest, Path: /hello, Method: get } }`)}`

const HTTP = `
Resources:
  Http:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration: { AllowOrigins: ['https://a.test'], AllowMethods: [GET] }
${functions(`      FunctionUrlConfig: { AuthType: NONE, Cors: { AllowOrigins: ['https://b.test'], AllowMethods: [GET] } }
      Events:
        Get: { Type: HttpApi, Properties: { ApiId: !Ref Http, Path: /hello, Method: get } }`)}`

interface Running extends AsyncDisposable {
  readonly app: App
  readonly directory: AbsolutePath
}

async function run(template: string): Promise<Running> {
  const directory = await temporaryFolder({ 'template.yaml': template, 'app.mjs': CODE })
  const events: DevEvent[] = []
  const app = await startApp({
    directory,
    mode: 'dev',
    environment: {},
    port: 0,
    portIsFixed: true,
    watch: false,
    startedAt: performance.timeOrigin,
    onEvent: (event) => events.push(event),
  })
  return {
    app,
    directory,
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

test('an authorizer of a template stands before its API, and not before a function’s own address', async () => {
  await using running = await run(REST)
  const { url } = running.app
  const ask = async (path: string, authorization?: string) => {
    const answer = await fetch(url + path, authorization === undefined ? {} : { headers: { authorization } })
    return [answer.status, await answer.text()]
  }
  expect(await ask('/hello')).toEqual([401, '{"message":"Unauthorized"}'])
  expect(await ask('/hello', 'yes')).toEqual([200, 'yes'])
  expect((await ask('/hello', 'no'))[0]).toBe(403)
  expect(await ask('/_flexi/f/Hello/')).toEqual([200, 'anyone'])
})

test('what a REST API has no route for is 403, as in the cloud', async () => {
  await using running = await run(REST)
  for (const [path, method] of [
    ['/nothing', 'GET'],
    ['/hello', 'POST'],
  ] as const) {
    // prettier-ignore
    const answer = await fetch(running.app.url + path, { method })
    expect([answer.status, await answer.text()]).toEqual([403, '{"message":"Missing Authentication Token"}'])
  }
  const page = await fetch(`${running.app.url}/nothing`, { headers: { accept: 'text/html' } })
  expect(await page.text()).toContain('GET /hello')
})

test('CORS blocks of an HTTP API and of a function URL answer preflight requests, each for its own address', async () => {
  await using running = await run(HTTP)
  const allowed = async (path: string, origin: string) => {
    const headers = { origin, 'access-control-request-method': 'GET' }
    const answer = await fetch(running.app.url + path, { method: 'OPTIONS', headers })
    return [answer.status, answer.headers.get('access-control-allow-origin')]
  }
  expect(await allowed('/hello', 'https://a.test')).toEqual([204, 'https://a.test'])
  expect(await allowed('/hello', 'https://b.test')).toEqual([204, null])
  expect(await allowed('/_flexi/f/Hello/', 'https://b.test')).toEqual([200, 'https://b.test'])
  const none = await fetch(`${running.app.url}/nothing`)
  expect([none.status, await none.text()]).toEqual([404, '{"message":"Not Found"}'])
})

test('a configuration that is read again brings its guards along, and takes them away', async () => {
  await using running = await run(REST)
  const status = async () => (await fetch(`${running.app.url}/hello`)).status
  expect(await status()).toBe(401)
  await writeFile(join(running.directory, 'template.yaml'), HTTP)
  await running.app.restart()
  expect(await status()).toBe(200)
  await writeFile(join(running.directory, 'template.yaml'), REST)
  await running.app.restart()
  expect(await status()).toBe(401)
})
