import type { RequestAuthorizerOptions, WebSocketRoute } from '../front-ends/route-options.ts'
import { listOrNone, mapOf, numberOrNone, textOrNone } from './api-settings.ts'
import { functionName, warn, type WebSocketApi } from './findings.ts'
import { functionIn } from './serverless-guards.ts'
import { settledValue, valueIn, type Service } from './service.ts'
import { at, expanded } from './variables.ts'
import { withoutNone } from './source-values.ts'
import type { YamlNode } from './yaml-file.ts'

interface Said {
  readonly function: string
  readonly node: YamlNode
}

/** The WebSocket API of a service: all functions with a `websocket` event share one. */
export function addWebSockets(service: Service): void {
  const said = service.functions.flatMap(([id, node]) => eventsOf(functionName(id), node, service))
  const [first] = said
  if (first === undefined) return
  const routes = Object.fromEntries(said.map((one) => [routeKey(one, service), routeOf(one, service)]))
  const selection = textOrNone(
    valueIn(service, at(service.source, 'provider', 'websocketsApiRouteSelectionExpression')),
  )
  const api: WebSocketApi = {
    origin: first.node.place,
    options: withoutNone({ apiId: `websocket-${service.name}`, stage: service.stage, selection, routes }),
  }
  service.findings.webSockets.push(api)
}

function eventsOf(name: string, node: YamlNode, { source, findings }: Service): Said[] {
  if (!findings.functions.some((one) => one.name === name)) return []
  return (expanded(node.get('events'), source)?.items() ?? []).flatMap((item) => {
    const event = expanded(item, source)?.get('websocket')
    return event === undefined ? [] : [{ function: name, node: expanded(event, source) ?? event }]
  })
}

/** `websocket: $connect`, or an object with `route`. */
function routeKey({ node }: Said, service: Service): string {
  const value = valueIn(service, node)
  return textOrNone(mapOf(value)['route'] ?? value) ?? '$default'
}

function routeOf(said: Said, service: Service): WebSocketRoute {
  const settings = mapOf(valueIn(service, said.node))
  const responds = textOrNone(settings['routeResponseSelectionExpression']) === '$default'
  return withoutNone({
    function: said.function,
    responds: responds ? true : undefined,
    authorizer: authorizerOf(said.node.get('authorizer'), service),
  })
}

/** `authorizer: NAME`, or an object with `name` or `arn`. */
function authorizerOf(node: YamlNode | undefined, service: Service): RequestAuthorizerOptions | undefined {
  const value = settledValue(service, node)
  if (node === undefined || value === undefined || value === null) return undefined
  const settings = typeof value === 'object' ? mapOf(value) : { name: value }
  const said = settings['arn'] ?? settings['name']
  const name = functionIn(said, node, service)
  if (name === undefined) {
    const message = `the authorizer ${textOrNone(said) ?? 'there'} is not emulated: nobody is asked who they are`
    warn(service.findings, node, message)
    return undefined
  }
  return withoutNone<RequestAuthorizerOptions>({
    kind: 'request',
    function: name,
    identitySources: listOrNone(settings['identitySource']) ?? ['route.request.header.Auth'],
    ttlSeconds: numberOrNone(settings['resultTtlInSeconds']),
  })
}
