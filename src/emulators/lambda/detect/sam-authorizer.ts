import type { AuthorizerOptions } from '../front-ends/route-options.ts'
import { listOrNone, mapOf, numberOrNone, textOrNone } from './api-settings.ts'
import { sayOnce, type Findings } from './findings.ts'
import { settled, textOf, textsOf, valueOf } from './intrinsics.ts'
import { functionMeant } from './references.ts'
import type { SamApi } from './sam-api.ts'
import type { Template } from './template.ts'
import type { Value, ValueMap } from './value.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

interface Asked {
  readonly api: SamApi
  readonly event: YamlNode
  readonly template: Template
  readonly findings: Findings
}

/** Who lets requests pass to an event: the authorizer it names, or the API's own. A warning for one that cannot be asked here. */
export function authorizerOf({ api, event, template, findings }: Asked): AuthorizerOptions | undefined {
  const own = settled(event.at('Properties', 'Auth'), template)
  const node = own?.get('Authorizer') ?? api.auth?.get('DefaultAuthorizer')
  const name = textOf(node, template) ?? 'NONE'
  if (node === undefined || name === 'NONE') return undefined
  const said = api.auth?.at('Authorizers', name)
  if (said === undefined) {
    sayOnce(findings, faultAt(node, withoutAuthorizer(name), { severity: 'warning' }))
    return undefined
  }
  const scopes = textsOf(own?.get('AuthorizationScopes'), template)
  return openAuthorizer({ api, template, findings, said, name, scopes })
}

interface Said extends Pick<Asked, 'api' | 'template' | 'findings'> {
  readonly name: string
  readonly said: YamlNode
  /** What the event asks of a token. */
  readonly scopes: string[] | undefined
}

function openAuthorizer(asked: Said): AuthorizerOptions | undefined {
  const { api, template, findings, said, name, scopes } = asked
  const settings = mapOf(valueOf(said, template))
  const meant = functionMeant(textOrNone(settings['FunctionArn']), template)
  const options =
    api.kind === 'rest-api' ? restAuthorizer(settings, meant) : httpAuthorizer(settings, { meant, scopes })
  if (options === undefined)
    sayOnce(
      findings,
      faultAt(said, `the authorizer ${name} is not emulated: nobody is asked who they are`, {
        severity: 'warning',
        hint: 'What is asked: functions of this template, and issuers of JWT.',
      }),
    )
  return options
}

function withoutAuthorizer(name: string): string {
  return name === 'AWS_IAM'
    ? 'signatures are not checked: this route answers everyone'
    : `the API has no authorizer ${name}: nobody is asked who they are`
}

function restAuthorizer(settings: ValueMap, name: string | undefined): AuthorizerOptions | undefined {
  if (name === undefined) return undefined
  const identity = mapOf(settings['Identity'])
  const ttlSeconds = numberOrNone(identity['ReauthorizeEvery'])
  if (textOrNone(settings['FunctionPayloadType']) === 'REQUEST') {
    const identitySources = identitySourcesOf(identity, REST_SOURCES)
    return { kind: 'request', function: name, identitySources, ttlSeconds }
  }
  return {
    kind: 'token',
    function: name,
    identitySource: textOrNone(identity['Header']),
    validation: textOrNone(identity['ValidationExpression']),
    ttlSeconds,
  }
}

interface Asks {
  /** The function that is asked. */
  readonly meant: string | undefined
  readonly scopes: string[] | undefined
}

function httpAuthorizer(settings: ValueMap, { meant: name, scopes }: Asks): AuthorizerOptions | undefined {
  const jwt = mapOf(settings['JwtConfiguration'])
  const issuer = textOrNone(jwt['issuer'] ?? jwt['Issuer'])
  if (issuer !== undefined) {
    return {
      kind: 'jwt',
      issuer,
      audience: listOrNone(jwt['audience'] ?? jwt['Audience']) ?? [],
      identitySource: textOrNone(settings['IdentitySource']),
      scopes: scopes ?? listOrNone(settings['AuthorizationScopes']),
    }
  }
  if (name === undefined) return undefined
  const identity = mapOf(settings['Identity'])
  return {
    kind: 'request',
    function: name,
    identitySources: identitySourcesOf(identity, HTTP_SOURCES),
    ttlSeconds: numberOrNone(identity['ReauthorizeEvery']),
    payloadFormat: textOrNone(settings['AuthorizerPayloadFormatVersion']) === '1.0' ? '1.0' : '2.0',
    simpleResponses: textOrNone(settings['EnableSimpleResponses']) === 'true',
  }
}

type Sources = Readonly<Record<string, string>>

const REST_SOURCES: Sources = {
  Headers: 'method.request.header.',
  QueryStrings: 'method.request.querystring.',
  StageVariables: 'stageVariables.',
  Context: 'context.',
}

const HTTP_SOURCES: Sources = {
  Headers: '$request.header.',
  QueryStrings: '$request.querystring.',
  StageVariables: '$stageVariables.',
  Context: '$context.',
}

function identitySourcesOf(identity: ValueMap, sources: Sources): string[] {
  return Object.entries(sources).flatMap(([name, prefix]) =>
    (listOrNone(identity[name] as Value | undefined) ?? []).map((one) => prefix + one),
  )
}
