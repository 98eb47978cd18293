import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

import type { AbsolutePath } from '../../../core/place.ts'
import type { RouteOptions } from '../front-ends/route-options.ts'
import { corsOf, listOrNone, numberOrNone } from './api-settings.ts'
import { isServed, warn, type Findings } from './findings.ts'
import { settled, valueOf } from './intrinsics.ts'
import { isMade } from './made.ts'
import { securedBy } from './open-api-authorizer.ts'
import { functionMeant } from './references.ts'
import { addApiRoute, apiRoute, formatOf, type LambdaRoute } from './routes.ts'
import { namedApi, type SamApi } from './sam-api.ts'
import { resourcesOf, typeOf, type Template } from './template.ts'
import type { YamlNode, YamlParser } from './yaml-file.ts'

interface Source {
  readonly template: Template
  readonly findings: Findings
  /** Of the template. */
  readonly file: AbsolutePath
  readonly parse: YamlParser
}

interface Context extends Source {
  readonly api: SamApi
  readonly definition: YamlNode
}

const KINDS: Readonly<Record<string, SamApi['kind']>> = {
  'AWS::Serverless::Api': 'rest-api',
  'AWS::Serverless::HttpApi': 'http-api',
  'AWS::ApiGateway::RestApi': 'rest-api',
  'AWS::ApiGatewayV2::Api': 'http-api',
}

/** Routes of APIs that are described by OpenAPI, in the template or in a file beside it. */
export function addOpenApis(source: Source): void {
  const { template } = source
  for (const [id, resource] of resourcesOf(template.root)) {
    const type = typeOf(resource)
    const kind = Object.hasOwn(KINDS, type) ? KINDS[type] : undefined
    if (kind === undefined || !isMade(resource, template)) continue
    const definition = definitionOf(resource, source)
    if (definition !== undefined) addPaths({ ...source, api: namedApi({ kind, id, template }), definition })
  }
}

function definitionOf(resource: YamlNode, source: Source): YamlNode | undefined {
  const property = (...names: readonly string[]): YamlNode | undefined =>
    names
      .map((name) => settled(resource.at('Properties', name), source.template))
      .find((node) => node !== undefined)
  const body = property('DefinitionBody', 'Body')
  const included = body?.get('Fn::Transform') ?? (body?.tag === '!Transform' ? body : undefined)
  if (body !== undefined && included === undefined) return body
  const location = included?.at('Parameters', 'Location') ?? property('DefinitionUri', 'BodyS3Location')
  return location === undefined ? undefined : readDefinition(location, source)
}

function readDefinition(node: YamlNode, { template, findings, file, parse }: Source): YamlNode | undefined {
  const location = template.text(node)
  if (location === undefined || /^(s3|https?):/.test(location)) {
    warn(findings, node, 'this description of an API is in no file of yours: its routes are not there')
    return undefined
  }
  const path = resolve(dirname(file), location) as AbsolutePath
  try {
    const text = readFileSync(path, 'utf8')
    findings.files.push(path)
    const { root, faults } = parse(path, text)
    findings.faults.push(...faults)
    return root
  } catch {
    warn(findings, node, `there is no file ${location}: the API has no routes of it`)
    return undefined
  }
}

const METHODS = /^(get|put|post|delete|options|head|patch|x-amazon-apigateway-any-method)$/i

function addPaths(context: Context): void {
  const { definition, template } = context
  for (const [path, said] of settled(definition.get('paths'), template)?.entries() ?? []) {
    for (const [method, node] of settled(said, template)?.entries() ?? [])
      if (METHODS.test(method)) addOperation(context, { path, method, node })
  }
}

interface Operation {
  readonly path: string
  readonly method: string
  readonly node: YamlNode
}

function addOperation(context: Context, { path, method, node }: Operation): void {
  const { api, template, findings } = context
  const integration = settled(node.get('x-amazon-apigateway-integration'), template)
  const said = (name: string): string | undefined => template.text(integration?.get(name))
  if (said('type')?.toUpperCase() === 'MOCK') return
  const name = functionMeant(said('uri'), template)
  if (!isServed(findings, name)) {
    warn(findings, node, `${method} ${path} leads to no function that runs here`)
    return
  }
  const rule = apiRoute({
    functionName: name,
    frontEnd: api.kind,
    method,
    path: path.replace(/^\/\$default$/, '$default'),
    origin: node.place,
    options: {
      ...api.options,
      ...partsOf(context, node),
      // A description that does not say it means the older one.
      ...(api.kind === 'rest-api' ? {} : { payloadFormat: formatOf(said('payloadFormatVersion') ?? '1.0') }),
      timeoutMs: numberOrNone(said('timeoutInMillis')),
    },
  })
  if (!isKnown(rule, findings)) addApiRoute(findings.routes, rule, api.preflight)
}

/** What an event of the function says already is the same route. */
function isKnown(rule: LambdaRoute, { routes }: Findings): boolean {
  return routes.some(
    ({ pattern, options }) =>
      pattern === rule.pattern && (options as RouteOptions | undefined)?.apiId === rule.options.apiId,
  )
}

function partsOf(
  context: Context,
  node: YamlNode,
): Pick<RouteOptions, 'authorizer' | 'cors' | 'binaryMediaTypes' | 'operationName'> {
  const { api, definition, template } = context
  const authorizer = securedBy(context, node)
  const guard = authorizer === undefined ? {} : { authorizer }
  if (api.kind === 'http-api') {
    const cors = settled(definition.get('x-amazon-apigateway-cors'), template)
    const said = corsOf(cors === undefined ? undefined : valueOf(cors, template), { allowOrigins: ['*'] })
    return { ...guard, ...(said === undefined ? {} : { cors: said }) }
  }
  const types = settled(definition.get('x-amazon-apigateway-binary-media-types'), template)
  const list = types === undefined ? undefined : listOrNone(valueOf(types, template))
  const operationName = template.text(node.get('operationId'))
  return {
    ...guard,
    ...(list === undefined ? {} : { binaryMediaTypes: list }),
    ...(operationName === undefined ? {} : { operationName }),
  }
}
