import type { ApiKey, AuthorizerOptions, CorsOptions } from '../front-ends/route-options.ts'
import { apiKeysOf, listOrNone, LOCAL_API_KEY, mapOf, numberOrNone, textOrNone } from './api-settings.ts'
import { functionName, sayOnce } from './findings.ts'
import { valueOf } from './intrinsics.ts'
import { functionMeant } from './references.ts'
import { valueIn, type Service } from './service.ts'
import type { Value, ValueMap } from './value.ts'
import { at } from './variables.ts'
import { faultAt, nodeOf, type YamlNode } from './yaml-file.ts'

/** What `cors: true` stands for. */
export const SERVERLESS_CORS: CorsOptions = {
  allowOrigins: ['*'],
  allowHeaders: [
    'Content-Type',
    'X-Amz-Date',
    'Authorization',
    'X-Api-Key',
    'X-Amz-Security-Token',
    'X-Amz-User-Agent',
    'X-Amzn-Trace-Id',
  ],
  allowMethods: ['OPTIONS', 'GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD'],
}

/** `authorizer: NAME`, `{ name, scopes }` of an HTTP API; its settings stand at the provider. */
export function httpApiAuthorizer(
  node: YamlNode | undefined,
  service: Service,
): AuthorizerOptions | undefined {
  const value = valueIn(service, node)
  if (node === undefined || value === undefined || value === null) return undefined
  const reference = mapOf(value)
  const name = textOrNone(reference['name'] ?? reference['type'] ?? value) ?? ''
  const settings = mapOf(valueIn(service, at(service.source, 'provider', 'httpApi', 'authorizers', name)))
  const options =
    textOrNone(settings['type']) === 'request'
      ? requestAuthorizer(settings, node, service)
      : jwtAuthorizer(settings, listOrNone(reference['scopes']))
  return options ?? notAsked(node, name, service)
}

function jwtAuthorizer(settings: ValueMap, scopes: string[] | undefined): AuthorizerOptions | undefined {
  const issuer = textOrNone(settings['issuerUrl'])
  if (issuer === undefined) return undefined
  return {
    kind: 'jwt',
    issuer,
    audience: listOrNone(settings['audience']) ?? [],
    identitySource: textOrNone(settings['identitySource']),
    scopes,
  }
}

function requestAuthorizer(
  settings: ValueMap,
  node: YamlNode,
  service: Service,
): AuthorizerOptions | undefined {
  const name = functionIn(settings['functionName'] ?? settings['functionArn'], node, service)
  if (name === undefined) return undefined
  return {
    kind: 'request',
    function: name,
    identitySources: listOrNone(settings['identitySource']) ?? [],
    ttlSeconds: numberOrNone(settings['resultTtlInSeconds']),
    payloadFormat: textOrNone(settings['payloadVersion']) === '1.0' ? '1.0' : '2.0',
    simpleResponses: settings['enableSimpleResponses'] === true,
  }
}

/** `authorizer: NAME` of a REST API names a function; the object says more. */
export function restAuthorizer(node: YamlNode | undefined, service: Service): AuthorizerOptions | undefined {
  const value = valueIn(service, node)
  if (node === undefined || value === undefined || value === null) return undefined
  const settings: ValueMap = typeof value === 'object' ? mapOf(value) : { name: value }
  const { name: said, arn } = settings
  const name = functionIn(arn, node, service) ?? functionIn(said, node, service)
  if (name === undefined) return notAsked(node, textOrNone(said ?? settings['type']) ?? 'there', service)
  return isRequest(settings) ? wholeRequest(name, settings) : token(name, settings)
}

function isRequest(settings: ValueMap): boolean {
  return /^request$/i.test(textOrNone(settings['type']) ?? '')
}

function wholeRequest(name: string, settings: ValueMap): AuthorizerOptions {
  const sources = textOrNone(settings['identitySource'])?.split(',')
  return {
    kind: 'request',
    function: name,
    identitySources: sources?.map((one) => one.trim()) ?? ['method.request.header.Authorization'],
    ttlSeconds: numberOrNone(settings['resultTtlInSeconds']),
  }
}

function token(name: string, settings: ValueMap): AuthorizerOptions {
  return {
    kind: 'token',
    function: name,
    identitySource: textOrNone(settings['identitySource']),
    validation: textOrNone(settings['identityValidationExpression']),
    ttlSeconds: numberOrNone(settings['resultTtlInSeconds']),
  }
}

/** A function of this service, by its name or its ARN. */
export function functionIn(value: Value | undefined, node: YamlNode, service: Service): string | undefined {
  const resolved = value === undefined ? undefined : valueOf(nodeOf(value, node), service.template)
  const text = textOrNone(resolved)
  if (text === undefined) return undefined
  const known = service.functions.find(([id]) => id === text)
  return known === undefined ? functionMeant(text, service.template) : functionName(known[0])
}

function notAsked(node: YamlNode, name: string, { findings }: Service): undefined {
  const message =
    name.toLowerCase() === 'aws_iam'
      ? 'signatures are not checked: this route answers everyone'
      : `the authorizer ${name} is not emulated: nobody is asked who they are`
  sayOnce(findings, faultAt(node, message, { severity: 'warning' }))
  return undefined
}

/** `provider.apiGateway.apiKeys`: names, `{ name, value }`, or lists of them by usage plan. */
export function serverlessApiKeys(node: YamlNode, service: Service): ApiKey[] {
  const said = valueIn(service, at(service.source, 'provider', 'apiGateway', 'apiKeys'))
  const keys = keysIn(said)
  if (keys.every(({ value }) => value === undefined)) {
    sayOnce(
      service.findings,
      faultAt(node, `the API keys have no value here; ${LOCAL_API_KEY} is one`, {
        severity: 'warning',
        hint: 'Give one of provider.apiGateway.apiKeys a value.',
      }),
    )
  }
  return apiKeysOf(keys.length === 0 ? [{ id: 'local', value: undefined }] : keys)
}

interface Key {
  readonly id: string
  readonly value: string | undefined
}

function keysIn(value: Value | undefined): Key[] {
  if (Array.isArray(value)) return (value as readonly Value[]).flatMap(keysIn)
  const name = textOrNone(value)
  if (name !== undefined) return [{ id: name, value: undefined }]
  const settings = mapOf(value)
  const own = textOrNone(settings['value'])
  if (own !== undefined || settings['name'] !== undefined)
    return [{ id: textOrNone(settings['name']) ?? 'local', value: own }]
  return Object.values(settings).flatMap((one) => (Array.isArray(one) ? keysIn(one) : []))
}
