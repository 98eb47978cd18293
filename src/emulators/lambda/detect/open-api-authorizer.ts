import type { AuthorizerOptions } from '../front-ends/route-options.ts'
import { listOrNone, mapOf, numberOrNone, textOrNone } from './api-settings.ts'
import { warn, type Findings } from './findings.ts'
import { settled, valueOf } from './intrinsics.ts'
import { functionMeant } from './references.ts'
import { formatOf } from './routes.ts'
import type { Template } from './template.ts'
import type { ValueMap } from './value.ts'
import type { YamlNode } from './yaml-file.ts'

interface Described {
  readonly definition: YamlNode
  readonly template: Template
  readonly findings: Findings
}

/** `security: [{ NAME: [] }]`, of the operation or of the whole API. */
export function securedBy(
  { definition, template, findings }: Described,
  operation: YamlNode,
): AuthorizerOptions | undefined {
  const security = settled(operation.get('security') ?? definition.get('security'), template)
  const [name] = security?.items()[0]?.entries()[0] ?? []
  if (name === undefined) return undefined
  const scheme = schemeOf(definition, name)
  const settings = mapOf(scheme === undefined ? undefined : valueOf(scheme, template))
  const said = mapOf(settings['x-amazon-apigateway-authorizer'])
  const options = jwtOf(said) ?? askedFunction(said, { template, field: textOrNone(settings['name']) })
  if (options === undefined)
    warn(
      findings,
      security ?? operation,
      `the authorizer ${name} is not emulated: nobody is asked who they are`,
    )
  return options
}

function schemeOf(definition: YamlNode, name: string): YamlNode | undefined {
  return definition.at('components', 'securitySchemes', name) ?? definition.at('securityDefinitions', name)
}

function jwtOf(said: ValueMap): AuthorizerOptions | undefined {
  const jwt = mapOf(said['jwtConfiguration'])
  const issuer = textOrNone(jwt['issuer'])
  const identitySource = textOrNone(said['identitySource'])
  return issuer === undefined
    ? undefined
    : { kind: 'jwt', issuer, audience: listOrNone(jwt['audience']) ?? [], identitySource }
}

function askedFunction(
  said: ValueMap,
  { template, field }: { readonly template: Template; readonly field: string | undefined },
): AuthorizerOptions | undefined {
  const name = functionMeant(textOrNone(said['authorizerUri']), template)
  if (name === undefined) return undefined
  const ttlSeconds = numberOrNone(said['authorizerResultTtlInSeconds'])
  if (textOrNone(said['type']) === 'token') {
    const validation = textOrNone(said['identityValidationExpression'])
    return { kind: 'token', function: name, identitySource: field, validation, ttlSeconds }
  }
  const format = textOrNone(said['authorizerPayloadFormatVersion'])
  const sources = textOrNone(said['identitySource'])?.split(',') ?? []
  return {
    kind: 'request',
    function: name,
    identitySources: sources.map((one) => one.trim()),
    ttlSeconds,
    ...(format === undefined ? {} : { payloadFormat: formatOf(format) }),
    simpleResponses: said['enableSimpleResponses'] === true,
  }
}
