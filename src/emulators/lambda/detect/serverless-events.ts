import type { Findings } from './findings.ts'
import { asText, type Value } from './value.ts'
import { apiRoute } from './routes.ts'
import { resolveNode, type VariableSource } from './variables.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

interface EventContext {
  /** The function's name. */
  readonly name: string
  readonly node: YamlNode
  readonly source: VariableSource
  readonly findings: Findings
}

/** What to invoke the function with by hand, where nothing delivers its events. */
const SAMPLES: Readonly<Record<string, string>> = {
  sqs: 'aws:sqs',
  sns: 'aws:sns',
  s3: 'aws:s3',
  stream: 'aws:dynamodb',
  eventBridge: 'aws:eventbridge',
  schedule: 'aws:schedule',
  cloudwatchLog: 'aws:logs',
  cognitoUserPool: 'aws:cognito',
  alb: 'aws:alb',
}

/** The routes of a function's `events` and `url`; a warning for each event that nothing here sends. */
export function addServerlessEvents(context: EventContext): void {
  const { name, node, findings } = context
  for (const item of node.get('events')?.items() ?? []) {
    const [entry] = item.kind === 'map' ? item.entries() : []
    const [kind, event] = entry ?? [asText(item.value), item]
    if (kind === 'http') addHttp(context, event)
    else if (kind === 'httpApi') addHttpApi(context, event)
    else findings.faults.push(notDelivered(item, kind, name))
  }
  const authorizer = node.at('url', 'authorizer')
  if (authorizer !== undefined) {
    findings.faults.push(
      faultAt(authorizer, 'signatures are not checked: this function URL answers everyone', {
        severity: 'warning',
      }),
    )
  }
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
function endpointOf(event: YamlNode, source: VariableSource): Endpoint | undefined {
  const value: Value = resolveNode(event, source)
  if (typeof value === 'string') {
    const parts = value.trim().split(/\s+/)
    return parts.length > 1 ? { method: parts[0], path: parts[1] } : { method: undefined, path: parts[0] }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const { method, path } = value as Record<string, Value>
  return {
    method: method === undefined ? undefined : asText(method),
    path: path === undefined ? undefined : asText(path),
  }
}

function addHttpApi({ name, source, findings }: EventContext, event: YamlNode): void {
  const endpoint = endpointOf(event, source)
  if (endpoint === undefined) {
    findings.faults.push(notAnEndpoint(event, "httpApi: 'GET /users/{id}'"))
    return
  }
  const payload = source.root.at('provider', 'httpApi', 'payload')?.value
  findings.routes.push(
    apiRoute({
      functionName: name,
      frontEnd: 'http-api',
      ...endpoint,
      origin: event.place,
      options: { stage: '$default', payloadFormat: String(payload) === '1.0' ? '1.0' : '2.0' },
    }),
  )
  warnOfGuards(event, ['authorizer'], findings)
}

function addHttp({ name, source, findings }: EventContext, event: YamlNode): void {
  const endpoint = endpointOf(event, source)
  if (endpoint?.path === undefined) {
    findings.faults.push(notAnEndpoint(event, 'http: GET users/{id}'))
    return
  }
  const binary = source.root.at('provider', 'apiGateway', 'binaryMediaTypes')
  const types = binary === undefined ? undefined : resolveNode(binary, source)
  const stage = source.root.at('provider', 'stage')
  findings.routes.push(
    apiRoute({
      functionName: name,
      frontEnd: 'rest-api',
      method: endpoint.method,
      path: endpoint.path === '*' ? '/{proxy+}' : endpoint.path,
      origin: event.place,
      options: {
        stage: stage === undefined ? 'dev' : asText(resolveNode(stage, source)),
        binaryMediaTypes: Array.isArray(types) ? types.map(asText) : [],
      },
    }),
  )
  warnOfGuards(event, ['authorizer', 'cors', 'private', 'request'], findings)
}

function notAnEndpoint(event: YamlNode, example: string): ReturnType<typeof faultAt> {
  return faultAt(event, 'this names no method and path', { hint: `Write ${example}.` })
}

function warnOfGuards(event: YamlNode, names: readonly string[], findings: Findings): void {
  for (const name of names) {
    const found = event.get(name)
    if (found === undefined || found.value === false) continue
    findings.faults.push(
      faultAt(found, `${name} is not emulated: requests reach the function without it`, {
        severity: 'warning',
      }),
    )
  }
}
