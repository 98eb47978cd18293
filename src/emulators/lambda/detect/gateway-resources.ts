import type { RouteOptions } from '../front-ends/route-options.ts'
import { corsOf } from './api-settings.ts'
import type { Findings } from './findings.ts'
import { settled, textOf, textsOf, valueOf } from './intrinsics.ts'
import { functionMeant } from './references.ts'
import { mockedCors } from './mock-preflight.ts'
import { addApiRoute, addRestPreflight, apiRoute, formatOf, splitRouteKey } from './routes.ts'
import { apiKeys } from './sam-api.ts'
import { resourcesOf, type Template } from './template.ts'
import { methodValidation } from './validation.ts'
import { writtenAuthorizer } from './written-authorizer.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

/** Routes that a template writes out as resources of API Gateway, as CDK does. */
export function addGatewayRoutes(template: Template, findings: Findings): void {
  for (const [id, resource] of resourcesOf(template.root)) {
    const add = READERS[String(resource.get('Type')?.value ?? '')]
    add?.({ id, resource, template, findings })
  }
}

interface Context {
  readonly id: string
  readonly resource: YamlNode
  readonly template: Template
  readonly findings: Findings
}

const READERS: Readonly<Record<string, (context: Context) => void>> = {
  'AWS::ApiGatewayV2::Route': addRoute,
  'AWS::ApiGateway::Method': addMethod,
}

/** An HTTP API's: `RouteKey: GET /a`, `Target: integrations/ID`. */
function addRoute(context: Context): void {
  const { resource, template, findings } = context
  const property = (name: string): string | undefined => template.text(resource.at('Properties', name))
  const routeKey = property('RouteKey') ?? ''
  const apiId = property('ApiId')
  const api = propertiesOf(apiId, template)
  if (template.text(api?.get('ProtocolType')) === 'WEBSOCKET') return
  const integration = propertiesOf(property('Target')?.replace(/^integrations\//, ''), template)
  const name = functionMeant(template.text(integration?.get('IntegrationUri')), template)
  if (!isKnown(name, context, routeKey)) return
  const cors = settled(api?.get('CorsConfiguration'), template)
  const rule = apiRoute({
    functionName: name,
    frontEnd: 'http-api',
    ...splitRouteKey(routeKey),
    origin: resource.place,
    options: {
      apiId,
      stage: '$default',
      payloadFormat: formatOf(template.text(integration?.get('PayloadFormatVersion'))),
      cors: corsOf(cors === undefined ? undefined : valueOf(cors, template), { allowOrigins: ['*'] }),
      authorizer: writtenAuthorizer(context),
    },
  })
  addApiRoute(findings.routes, rule)
}

/** A REST API's: the path is that of its resource and the ones above. */
function addMethod(context: Context): void {
  const { resource, template, findings } = context
  const property = (name: string): string | undefined => textOf(resource.at('Properties', name), template)
  const integration = resource.at('Properties', 'Integration')
  const path = pathOf(property('ResourceId') ?? '', template)
  // Preflight answers and the like are made by API Gateway alone.
  if (textOf(integration?.get('Type'), template) === 'MOCK') {
    addMocked(context, path)
    return
  }
  const method = property('HttpMethod') ?? 'ANY'
  const name = functionMeant(textOf(integration?.get('Uri'), template), template)
  if (!isKnown(name, context, `${method} ${path}`)) return
  const apiId = property('RestApiId')
  const api = propertiesOf(apiId, template)
  const rule = apiRoute({
    functionName: name,
    frontEnd: 'rest-api',
    method,
    path,
    origin: resource.place,
    options: {
      apiId,
      stage: stageOf(apiId, template),
      binaryMediaTypes: textsOf(api?.get('BinaryMediaTypes'), template) ?? [],
      operationName: property('OperationName'),
      validation: methodValidation(resource.get('Properties'), template),
      authorizer: writtenAuthorizer(context),
      ...keysOf(context),
    },
  })
  addApiRoute(findings.routes, rule)
}

function addMocked({ resource, template, findings }: Context, path: string): void {
  const cors = mockedCors(settled(resource.get('Properties'), template), template)
  const [any] = findings.functions
  if (cors === undefined || any === undefined) return
  const apiId = textOf(resource.at('Properties', 'RestApiId'), template)
  const options = { apiId, stage: stageOf(apiId, template) }
  const api = { functionName: any.name, frontEnd: 'rest-api', method: 'OPTIONS', path } as const
  addRestPreflight(findings.routes, apiRoute({ ...api, origin: resource.place, options }), cors)
}

function keysOf({ resource, template, findings }: Context): Pick<RouteOptions, 'apiKeyRequired' | 'apiKeys'> {
  const node = resource.at('Properties', 'ApiKeyRequired')
  if (node === undefined || textOf(node, template) !== 'true') return {}
  return { apiKeyRequired: true, apiKeys: apiKeys(node, template, findings) }
}

function isKnown(name: string | undefined, { resource, findings }: Context, route: string): name is string {
  if (name !== undefined && findings.functions.some((one) => one.name === name)) return true
  findings.faults.push(
    faultAt(resource, `${route} leads to no function that runs here`, { severity: 'warning' }),
  )
  return false
}

function propertiesOf(id: string | undefined, template: Template): YamlNode | undefined {
  return id === undefined ? undefined : template.root.at('Resources', id, 'Properties')
}

const DEPTH_MAX = 30

function pathOf(id: string, template: Template, depth = 0): string {
  const properties = propertiesOf(id, template)
  const part = textOf(properties?.get('PathPart'), template)
  if (part === undefined || depth > DEPTH_MAX) return depth === 0 ? '/' : ''
  const parent = textOf(properties?.get('ParentId'), template) ?? ''
  return `${pathOf(parent, template, depth + 1).replace(/\/$/, '')}/${part}`
}

function stageOf(apiId: string | undefined, template: Template): string | undefined {
  const resources = resourcesOf(template.root)
  const stage = resources.find(
    ([, one]) =>
      one.get('Type')?.value === 'AWS::ApiGateway::Stage' &&
      textOf(one.at('Properties', 'RestApiId'), template) === apiId,
  )
  return textOf(stage?.[1].at('Properties', 'StageName'), template)
}
