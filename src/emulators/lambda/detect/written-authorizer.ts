import type { AuthorizerOptions } from '../front-ends/route-options.ts'
import { listOrNone, mapOf, numberOrNone, textOrNone } from './api-settings.ts'
import { warn, type Findings } from './findings.ts'
import { textsOf, valueOf } from './intrinsics.ts'
import { functionMeant } from './references.ts'
import { typeOf, type Template } from './template.ts'
import type { ValueMap } from './value.ts'
import type { YamlNode } from './yaml-file.ts'

interface Asked {
  /** A method or route. */
  readonly resource: YamlNode
  readonly template: Template
  readonly findings: Findings
}

/** Who lets requests pass to a method or route that a template writes out: `AuthorizationType` and the authorizer it names. */
export function writtenAuthorizer({ resource, template, findings }: Asked): AuthorizerOptions | undefined {
  const node = resource.at('Properties', 'AuthorizationType')
  const type = template.text(node) ?? 'NONE'
  if (node === undefined || type === 'NONE') return undefined
  const id = template.text(resource.at('Properties', 'AuthorizerId')) ?? ''
  const authorizer = template.root.at('Resources', id)
  const properties = authorizer?.get('Properties')
  const settings = mapOf(properties === undefined ? undefined : valueOf(properties, template))
  const options =
    typeOf(authorizer) === 'AWS::ApiGateway::Authorizer'
      ? ofRestApi(settings, template)
      : ofHttpApi(settings, {
          template,
          scopes: textsOf(resource.at('Properties', 'AuthorizationScopes'), template),
        })
  if (options === undefined) {
    const what = type === 'AWS_IAM' ? 'signatures are not checked' : `the authorizer ${id} is not emulated`
    warn(findings, node, `${what}: nobody is asked who they are`)
  }
  return options
}

function ofRestApi(settings: ValueMap, template: Template): AuthorizerOptions | undefined {
  const name = functionMeant(textOrNone(settings['AuthorizerUri']), template)
  if (name === undefined) return undefined
  const source = textOrNone(settings['IdentitySource'])
  const ttlSeconds = numberOrNone(settings['AuthorizerResultTtlInSeconds'])
  if (textOrNone(settings['Type']) !== 'REQUEST') {
    const validation = textOrNone(settings['IdentityValidationExpression'])
    return { kind: 'token', function: name, identitySource: source, validation, ttlSeconds }
  }
  const identitySources = source?.split(',').map((one) => one.trim()) ?? []
  return { kind: 'request', function: name, identitySources, ttlSeconds }
}

interface OfRoute {
  readonly template: Template
  readonly scopes: string[] | undefined
}

function ofHttpApi(settings: ValueMap, { template, scopes }: OfRoute): AuthorizerOptions | undefined {
  const jwt = mapOf(settings['JwtConfiguration'])
  const issuer = textOrNone(jwt['Issuer'])
  const identitySources = listOrNone(settings['IdentitySource']) ?? []
  if (issuer !== undefined) {
    const audience = listOrNone(jwt['Audience']) ?? []
    return { kind: 'jwt', issuer, audience, identitySource: identitySources[0], scopes }
  }
  const name = functionMeant(textOrNone(settings['AuthorizerUri']), template)
  if (name === undefined) return undefined
  return {
    kind: 'request',
    function: name,
    identitySources,
    ttlSeconds: numberOrNone(settings['AuthorizerResultTtlInSeconds']),
    payloadFormat: textOrNone(settings['AuthorizerPayloadFormatVersion']) === '1.0' ? '1.0' : '2.0',
    simpleResponses: textOrNone(settings['EnableSimpleResponses']) === 'true',
  }
}
