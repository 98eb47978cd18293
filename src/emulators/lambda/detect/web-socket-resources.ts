import type { RequestAuthorizerOptions, WebSocketRoute } from '../front-ends/route-options.ts'
import { listOrNone, mapOf, textOrNone } from './api-settings.ts'
import { isServed, warn, type Findings } from './findings.ts'
import { settled, valueOf } from './intrinsics.ts'
import { isMade } from './made.ts'
import { functionMeant } from './references.ts'
import { apiKeys } from './sam-api.ts'
import { withoutNone } from './source-values.ts'
import { resourcesOf, typeOf, type Template } from './template.ts'
import type { YamlNode } from './yaml-file.ts'

interface Context {
  readonly apiId: string
  readonly template: Template
  readonly findings: Findings
}

/** WebSocket APIs that a template writes out: an Api, its Routes with their Integrations, and its Stage. */
export function addWebSocketApis(template: Template, findings: Findings): void {
  for (const [apiId, resource] of resourcesOf(template.root)) {
    const isOne =
      typeOf(resource) === 'AWS::ApiGatewayV2::Api' &&
      template.text(resource.at('Properties', 'ProtocolType')) === 'WEBSOCKET'
    if (isOne && isMade(resource, template)) addApi(resource, { apiId, template, findings })
  }
}

function addApi(resource: YamlNode, context: Context): void {
  const { apiId, template, findings } = context
  const routes = Object.fromEntries(partsOf('Route', context).flatMap((route) => routeOf(route, context)))
  if (Object.keys(routes).length === 0) return
  const [stage] = partsOf('Stage', context)
  const variables = settled(stage?.at('Properties', 'StageVariables'), template)
  const needsKey = Object.values(routes).some(({ apiKeyRequired }) => apiKeyRequired === true)
  findings.webSockets.push({
    origin: resource.place,
    options: withoutNone({
      apiId,
      stage: template.text(stage?.at('Properties', 'StageName')) ?? 'Prod',
      selection: template.text(resource.at('Properties', 'RouteSelectionExpression')),
      routes,
      stageVariables: variables === undefined ? undefined : textsIn(variables, template),
      apiKeys: needsKey ? apiKeys(resource, template, findings) : undefined,
    }),
  })
}

/** The resources of that kind that belong to the API. */
function partsOf(kind: string, { apiId, template }: Context): YamlNode[] {
  return resourcesOf(template.root)
    .map(([, resource]) => resource)
    .filter(
      (one) =>
        typeOf(one) === `AWS::ApiGatewayV2::${kind}` &&
        template.text(one.at('Properties', 'ApiId')) === apiId &&
        isMade(one, template),
    )
}

function textsIn(node: YamlNode, template: Template): Record<string, string> {
  return Object.fromEntries(node.entries().map(([name, one]) => [name, template.text(one) ?? '']))
}

function routeOf(route: YamlNode, context: Context): (readonly [key: string, route: WebSocketRoute])[] {
  const { template, findings } = context
  const property = (name: string): string | undefined => template.text(route.at('Properties', name))
  const key = property('RouteKey') ?? '$default'
  const id = property('Target')?.replace(/^integrations\//, '') ?? ''
  const integration = template.root.at('Resources', id, 'Properties')
  const name = functionMeant(template.text(integration?.get('IntegrationUri')), template)
  if (!isServed(findings, name)) {
    if (template.text(integration?.get('IntegrationType')) !== 'MOCK')
      warn(findings, route, `${key} leads to no function that runs here`)
    return []
  }
  const said = withoutNone<WebSocketRoute>({
    function: name,
    responds: property('RouteResponseSelectionExpression') === '$default' ? true : undefined,
    authorizer: authorizerOf(route, context),
    apiKeyRequired: property('ApiKeyRequired') === 'true' ? true : undefined,
  })
  return [[key, said]]
}

function authorizerOf(
  route: YamlNode,
  { template, findings }: Context,
): RequestAuthorizerOptions | undefined {
  const type = template.text(route.at('Properties', 'AuthorizationType')) ?? 'NONE'
  if (type === 'NONE') return undefined
  const id = template.text(route.at('Properties', 'AuthorizerId')) ?? ''
  const node = template.root.at('Resources', id, 'Properties')
  const settings = mapOf(node === undefined ? undefined : valueOf(node, template))
  const name = functionMeant(textOrNone(settings['AuthorizerUri']), template)
  if (name === undefined) {
    warn(findings, route, `${type} is not emulated here: nobody is asked who they are`)
    return undefined
  }
  return { kind: 'request', function: name, identitySources: listOrNone(settings['IdentitySource']) ?? [] }
}
