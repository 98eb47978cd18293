import { describe, expect, test } from 'vitest'

import { APP, detect, errors, optionsOf, warnings } from './detect-harness.ts'

const USER = { type: 'object', required: ['name'] }

const validationOf = (found: Awaited<ReturnType<typeof detect>>, pattern: string): unknown =>
  (optionsOf(found, pattern) as { readonly validation?: unknown } | undefined)?.validation

const SERVERLESS = `
service: shop
provider:
  name: aws
  runtime: nodejs20.x
  apiGateway:
    request:
      schemas:
        user: { name: User, schema: '\${file(user.json)}' }
functions:
  f:
    handler: app.handler
    events:
      - http: { method: get, path: all, request: { parameters: { querystrings: { page: true, size: false }, headers: { x-a: { required: true }, x-b: { required: false }, x-c: { mappedValue: context.requestId } }, paths: { id: true } } } }
      - http: { method: post, path: named, request: { schemas: { application/json: user } } }
      - http: { method: post, path: own, request: { schemas: { application/json: { schema: '\${file(user.json)}' }, text/csv: '\${file(user.json)}' } } }
      - http: { method: get, path: none, request: { parameters: { querystrings: { page: false } } } }
      - http: { method: get, path: plain }
`

test('serverless.yml: what is required, and schemas by their names or in place', async () => {
  const found = await detect({
    'serverless.yml': SERVERLESS,
    'app.mjs': APP,
    'user.json': JSON.stringify(USER),
  })
  expect([errors(found), warnings(found)]).toEqual([[], []])
  expect(validationOf(found, 'GET /all')).toEqual({
    parameters: ['querystring.page', 'header.x-a', 'header.x-c', 'path.id'],
  })
  expect(validationOf(found, 'POST /named')).toEqual({ models: { 'application/json': USER } })
  expect(validationOf(found, 'POST /own')).toEqual({ models: { 'application/json': USER, 'text/csv': USER } })
  expect(validationOf(found, 'GET /none')).toBeUndefined()
  expect(validationOf(found, 'GET /plain')).toBeUndefined()
})

const SAM = `
Transform: AWS::Serverless-2016-10-31
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties: { StageName: live, Models: { User: { type: object, required: [name] } } }
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: nodejs20.x
      Handler: app.handler
      CodeUri: .
      Events:
        Both:
          Type: Api
          Properties:
            RestApiId: !Ref Api
            Path: /both
            Method: post
            RequestModel: { Model: User, ValidateBody: true, ValidateParameters: true }
            RequestParameters:
              - method.request.header.X-A: { Required: true }
              - method.request.querystring.b: { Required: false }
              - method.request.querystring.c
        Unchecked:
          Type: Api
          Properties: { RestApiId: !Ref Api, Path: /unchecked, Method: post, RequestModel: { Model: User } }
  Resource: { Type: AWS::ApiGateway::Resource, Properties: { RestApiId: !Ref Own, PathPart: made, ParentId: root } }
  Own: { Type: AWS::ApiGateway::RestApi }
  Validator: { Type: AWS::ApiGateway::RequestValidator, Properties: { RestApiId: !Ref Own, ValidateRequestBody: true, ValidateRequestParameters: true } }
  Model: { Type: AWS::ApiGateway::Model, Properties: { RestApiId: !Ref Own, Schema: { type: object, required: [name] } } }
  Method:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Own
      ResourceId: !Ref Resource
      HttpMethod: PUT
      RequestValidatorId: !Ref Validator
      RequestModels: { application/json: !Ref Model }
      RequestParameters: { method.request.querystring.page: true, method.request.header.X: false }
      Integration: { Type: AWS_PROXY, Uri: !Sub 'arn:aws:apigateway:\${AWS::Region}:lambda:path/2015-03-31/functions/\${F.Arn}/invocations' }
`

describe('a template', () => {
  test('SAM events: only what they say to validate', async () => {
    const found = await detect({ 'template.yaml': SAM, 'app.mjs': APP })
    expect(errors(found)).toEqual([])
    expect(validationOf(found, 'POST /both')).toEqual({
      parameters: ['header.X-A'],
      models: { 'application/json': USER },
    })
    expect(validationOf(found, 'POST /unchecked')).toBeUndefined()
  })

  test('methods with validators and models as resources', async () => {
    const found = await detect({ 'template.yaml': SAM, 'app.mjs': APP })
    expect(validationOf(found, 'PUT /made')).toEqual({
      parameters: ['querystring.page'],
      models: { 'application/json': USER },
    })
  })
})
