import type { ApiKey, CorsOptions, RouteOptions } from '../front-ends/route-options.ts'
import { apiKeysOf, corsOf, LOCAL_API_KEY } from './api-settings.ts'
import { sayOnce, type Findings } from './findings.ts'
import { settled, textOf, textsOf, valueOf } from './intrinsics.ts'
import { resourcesOf, type Template } from './template.ts'
import { faultAt, mergeNodes, type YamlNode } from './yaml-file.ts'

/** An API of a SAM template: what all its routes have in common. */
export interface SamApi {
  readonly kind: 'http-api' | 'rest-api'
  readonly options: Pick<
    RouteOptions,
    'stage' | 'stageVariables' | 'binaryMediaTypes' | 'apiId' | 'cors' | 'apiKeys'
  >
  /** A REST API's `Cors`: what OPTIONS answers for its paths. Other methods know nothing of it. */
  readonly preflight: CorsOptions | undefined
  readonly auth: YamlNode | undefined
  /** Schemas of a REST API, by their names. */
  readonly models?: YamlNode | undefined
}

const KINDS = {
  'http-api': { global: 'HttpApi', id: 'ApiId', implicit: 'ServerlessHttpApi', stage: '$default' },
  'rest-api': { global: 'Api', id: 'RestApiId', implicit: 'ServerlessRestApi', stage: 'Prod' },
} as const

/** The API that an event names, or the one that SAM makes when it names none. */
export function apiOf(kind: SamApi['kind'], event: YamlNode, template: Template): SamApi {
  const { id, implicit } = KINDS[kind]
  return namedApi({ kind, id: textOf(event.at('Properties', id), template) ?? implicit, template })
}

export interface ApiName {
  readonly kind: SamApi['kind']
  readonly id: string
  readonly template: Template
}

/** What the resource of that name, and `Globals`, say of an API. */
export function namedApi({ kind, id: apiId, template }: ApiName): SamApi {
  const { global, stage } = KINDS[kind]
  const properties = mergeNodes(
    template.root.at('Globals', global),
    settled(template.root.at('Resources', apiId, 'Properties'), template),
  )
  const setting = (name: string): YamlNode | undefined => settled(properties?.get(name), template)
  const isRest = kind === 'rest-api'
  const specific = isRest
    ? { binaryMediaTypes: binaryTypes(setting('BinaryMediaTypes'), template) }
    : { cors: samCors(setting('CorsConfiguration'), template) }
  return {
    kind,
    options: {
      apiId,
      stage: textOf(setting('StageName'), template) ?? stage,
      stageVariables: variables(setting(isRest ? 'Variables' : 'StageVariables'), template),
      ...specific,
    },
    preflight: isRest ? samCors(setting('Cors'), template) : undefined,
    auth: setting('Auth'),
    models: isRest ? setting('Models') : undefined,
  }
}

/** A template writes slashes as ~1, since it is a JSON pointer's key to API Gateway. */
function binaryTypes(node: YamlNode | undefined, template: Template): string[] {
  return (textsOf(node, template) ?? []).map((type) => type.replaceAll('~1', '/'))
}

function variables(node: YamlNode | undefined, template: Template): Record<string, string> | undefined {
  if (node === undefined) return undefined
  return Object.fromEntries(node.entries().map(([name, value]) => [name, textOf(value, template) ?? '']))
}

export function samCors(node: YamlNode | undefined, template: Template): CorsOptions | undefined {
  return node === undefined ? undefined : corsOf(valueOf(node, template), { allowOrigins: ['*'] })
}

/** The keys of a template. API Gateway makes up what has no value; here that is one of ours, and it is told. */
export function apiKeys(node: YamlNode, template: Template, findings: Findings): ApiKey[] {
  const resources = resourcesOf(template.root)
  const keys = resources
    .filter(([, resource]) => resource.get('Type')?.value === 'AWS::ApiGateway::ApiKey')
    .map(([id, resource]) => ({ id, value: textOf(resource.at('Properties', 'Value'), template) }))
  if (keys.every(({ value }) => value === undefined)) {
    sayOnce(
      findings,
      faultAt(node, `the API keys have no value here; ${LOCAL_API_KEY} is one`, {
        severity: 'warning',
        hint: 'Give an AWS::ApiGateway::ApiKey a Value.',
      }),
    )
  }
  return apiKeysOf(keys.length === 0 ? [{ id: 'local', value: undefined }] : keys)
}
