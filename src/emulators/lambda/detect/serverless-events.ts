import type { CorsOptions } from '../front-ends/route-options.ts'
import { addAlb } from './serverless-alb.ts'
import { corsOf, mapOf, textOrNone, listOrNone } from './api-settings.ts'
import { addApiRoute, apiRoute, preflightMethods } from './routes.ts'
import { httpApiAuthorizer, restAuthorizer, SERVERLESS_CORS, serverlessApiKeys } from './serverless-guards.ts'
import { addServerlessSource } from './serverless-sources.ts'
import { valueIn, type EventContext, type Service } from './service.ts'
import { asText, type Value } from './value.ts'
import { at, expanded } from './variables.ts'
import { serverlessValidation } from './validation.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

/** What to invoke the function with by hand, where nothing delivers its events. */
const SAMPLES: Readonly<Record<string, string>> = {
  cloudwatchLog: 'aws:logs',
  cognitoUserPool: 'aws:cognito',
  msk: 'aws:msk',
  kafka: 'aws:kafka',
  activemq: 'aws:mq',
  rabbitmq: 'aws:rabbitmq',
  iot: 'aws:iot',
}

type AddEvent = (context: EventContext, event: YamlNode) => void

const ADDERS: Readonly<Record<string, AddEvent>> = {
  http: addHttp,
  httpApi: addHttpApi,
  alb: addAlb,
  // Read with the others of the service, by addWebSockets.
  websocket: () => undefined,
}

/** The routes of a function's `events`; a warning for each event that nothing here sends. */
export function addServerlessEvents(context: EventContext): void {
  const { node, service } = context
  for (const said of expanded(node.get('events'), service.source)?.items() ?? []) {
    const item = expanded(said, service.source) ?? said
    const [entry] = item.kind === 'map' ? item.entries() : []
    const [kind, event] = entry ?? [asText(item.value), item]
    addEvent(context, { item, kind, event: expanded(event, service.source) ?? event })
  }
}

interface Event {
  readonly item: YamlNode
  readonly kind: string
  readonly event: YamlNode
}

function addEvent(context: EventContext, { item, kind, event }: Event): void {
  const add = Object.hasOwn(ADDERS, kind) ? ADDERS[kind] : undefined
  if (add !== undefined) add(context, event)
  else if (!addServerlessSource(kind, context, event))
    context.service.findings.faults.push(notDelivered(item, kind, context.name))
}

function notDelivered(item: YamlNode, kind: string, name: string): ReturnType<typeof faultAt> {
  const sample = SAMPLES[kind]
  return faultAt(item, `${name}: events of the kind ${kind} are not delivered here`, {
    severity: 'warning',
    ...(sample === undefined ? {} : { hint: `Send one by hand: flexi invoke --event ${sample} ${name}` }),
  })
}

interface Endpoint {
  readonly method: string | undefined
  readonly path: string | undefined
}

/** `GET /users/{id}`, `/users`, `*`, or an object with `method` and `path`. */
function endpointOf(value: Value | undefined): Endpoint | undefined {
  if (typeof value === 'string') {
    const parts = value.trim().split(/\s+/)
    return parts.length > 1 ? { method: parts[0], path: parts[1] } : { method: undefined, path: parts[0] }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const { method, path } = mapOf(value)
  return { method: textOrNone(method), path: textOrNone(path) }
}

function addHttpApi({ name, service }: EventContext, event: YamlNode): void {
  const { source, findings } = service
  const endpoint = endpointOf(valueIn(service, event))
  if (endpoint === undefined) {
    findings.faults.push(notAnEndpoint(event, "httpApi: 'GET /users/{id}'"))
    return
  }
  const cors = corsOf(valueIn(service, at(source, 'provider', 'httpApi', 'cors')), SERVERLESS_CORS)
  const authorizer = httpApiAuthorizer(event.get('authorizer'), service)
  const payload = textOrNone(valueIn(service, at(source, 'provider', 'httpApi', 'payload')))
  const rule = apiRoute({
    functionName: name,
    frontEnd: 'http-api',
    ...endpoint,
    origin: event.place,
    options: {
      apiId: 'HttpApi',
      stage: '$default',
      payloadFormat: payload === '1.0' ? '1.0' : '2.0',
      ...(cors === undefined ? {} : { cors }),
      ...(authorizer === undefined ? {} : { authorizer }),
    },
  })
  addApiRoute(findings.routes, rule)
}

function addHttp({ name, service }: EventContext, event: YamlNode): void {
  const { source, findings, stage } = service
  const settings = valueIn(service, event)
  const endpoint = endpointOf(settings)
  if (endpoint?.path === undefined) {
    findings.faults.push(notAnEndpoint(event, 'http: GET users/{id}'))
    return
  }
  const binary = valueIn(service, at(source, 'provider', 'apiGateway', 'binaryMediaTypes'))
  const authorizer = restAuthorizer(event.get('authorizer'), service)
  const { method, path } = endpoint
  const isPrivate = mapOf(settings)['private'] === true
  const validation = serverlessValidation(mapOf(settings)['request'], service)
  const rule = apiRoute({
    functionName: name,
    frontEnd: 'rest-api',
    method,
    path: path === '*' ? '/{proxy+}' : path,
    origin: event.place,
    options: {
      apiId: 'ApiGatewayRestApi',
      stage,
      binaryMediaTypes: listOrNone(binary) ?? [],
      operationName: textOrNone(mapOf(settings)['operationId']),
      ...(authorizer === undefined ? {} : { authorizer }),
      ...(validation === undefined ? {} : { validation }),
      ...(isPrivate ? { apiKeyRequired: true, apiKeys: serverlessApiKeys(event, service) } : {}),
    },
  })
  addApiRoute(findings.routes, rule, restCors(mapOf(settings)['cors'], method))
  warnOfParts(event, service)
}

/** What OPTIONS of the path answers; a block that lists methods has the route's own all the same. */
function restCors(said: Value | undefined, method: string | undefined): CorsOptions | undefined {
  const any = method === undefined || /^(any|\*)$/i.test(method)
  const own = preflightMethods(any ? undefined : method.toUpperCase())
  const cors = corsOf(said, { ...SERVERLESS_CORS, allowMethods: own })
  return cors && { ...cors, allowMethods: [...new Set([...own, ...(cors.allowMethods ?? [])])] }
}

function notAnEndpoint(event: YamlNode, example: string): ReturnType<typeof faultAt> {
  return faultAt(event, 'this names no method and path', { hint: `Write ${example}.` })
}

const PARTS: Readonly<Record<string, string>> = {
  async: 'the answer is waited for',
}

function warnOfParts(event: YamlNode, { findings }: Service): void {
  for (const [name, message] of Object.entries(PARTS)) {
    const found = event.get(name)
    if (found !== undefined && found.value !== false)
      findings.faults.push(faultAt(found, `${name} is not emulated: ${message}`, { severity: 'warning' }))
  }
  const integration = event.get('integration')
  if (/^(lambda|http|mock)$/i.test(String(integration?.value)) && integration !== undefined) {
    const message = `integration ${String(integration.value)} is not emulated: the function is called as lambda-proxy`
    findings.faults.push(faultAt(integration, message, { severity: 'warning' }))
  }
}
