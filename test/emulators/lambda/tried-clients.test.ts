import { InvokeCommand } from '@aws-sdk/client-lambda'
import { afterEach, expect, test, vi } from 'vitest'

import { json, serveProject } from './api-project.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

test('an empty variable of the shell is none, because clients would ask AWS', async () => {
  vi.stubEnv('AWS_ENDPOINT_URL_SNS', '')
  vi.stubEnv('AWS_REGION', '')
  vi.stubEnv('AWS_DEFAULT_REGION', 'eu-west-1')
  await using project = await serveProject(
    { hello: { handler: 'env.handler' } },
    {
      'env.js': `exports.handler = async (event, { invokedFunctionArn }) =>
        ({ arn: invokedFunctionArn, sns: process.env.AWS_ENDPOINT_URL_SNS, region: process.env.AWS_REGION })`,
    },
  )
  const { Payload } = await project.client.send(new InvokeCommand({ FunctionName: 'hello' }))
  expect(json(Payload)).toEqual({
    arn: 'arn:aws:lambda:eu-west-1:123456789012:function:hello',
    sns: project.endpoint,
    region: 'eu-west-1',
  })
})
