import type { AuthorizerOptions, ValidationOptions } from '../front-ends/route-options.ts'
import { SAM_SAMPLES, type Findings } from './findings.ts'
import { settled, textOf } from './intrinsics.ts'
import { addApiRoute, apiRoute } from './routes.ts'
import { apiKeys, apiOf, type SamApi } from './sam-api.ts'
import { authorizerOf } from './sam-authorizer.ts'
import { addSamSource } from './sam-sources.ts'
import type { Template } from './template.ts'
import { samValidation } from './validation.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

interface EventContext {
  /** The function's name. */
  readonly id: string
  readonly events: YamlNode | undefined
  readonly template: Template
  readonly findings: Findings
}

/** The routes of a function's `Events`; a warning for each event that nothing here sends. */
export function addEvents(context: EventContext): void {
  const { id, events, template, findings } = context
  for (const [name, said] of settled(events, template)?.entries() ?? []) {
    const node = settled(said, template)
    if (node === undefined) continue
    const type = String(node.get('Type')?.value ?? '')
    if (type === 'Api') addRoute(context, node, 'rest-api')
    else if (type === 'HttpApi') addRoute(context, node, 'http-api')
    else if (!addSamSource(type, { function: id, name, node, template, findings }))
      findings.faults.push(notDelivered(node, type, id))
  }
}

function notDelivered(event: YamlNode, type: string, id: string): ReturnType<typeof faultAt> {
  const sample = SAM_SAMPLES[type]
  const message = `${id}: events of the type ${type} are not delivered here`
  const hint = sample === undefined ? undefined : `Send one by hand: flexi invoke --event ${sample} ${id}`
  return faultAt(event.get('Type') ?? event, message, {
    severity: 'warning',
    ...(hint === undefined ? {} : { hint }),
  })
}

function addRoute(context: EventContext, event: YamlNode, kind: SamApi['kind']): void {
  const { id, template, findings } = context
  const api = apiOf(kind, event, template)
  const property = (name: string): string | undefined => textOf(event.at('Properties', name), template)
  const isRest = kind === 'rest-api'
  const rule = apiRoute({
    functionName: id,
    frontEnd: kind,
    method: property('Method'),
    path: property('Path') ?? (isRest ? '/' : undefined),
    origin: event.place,
    options: {
      ...api.options,
      ...(isRest ? {} : { payloadFormat: property('PayloadFormatVersion') === '1.0' ? '1.0' : '2.0' }),
      ...guardsOf(context, event, api),
      timeoutMs: numberOf(property('TimeoutInMillis')),
    },
  })
  addApiRoute(findings.routes, rule, api.preflight)
}

function numberOf(text: string | undefined): number | undefined {
  const number = Number(text)
  return text === undefined || Number.isNaN(number) ? undefined : number
}

/** What a request must bring along. */
function guardsOf(
  { template, findings }: EventContext,
  event: YamlNode,
  api: SamApi,
): {
  readonly authorizer?: AuthorizerOptions
  readonly validation?: ValidationOptions
  readonly apiKeyRequired?: boolean
  readonly apiKeys?: ReturnType<typeof apiKeys>
} {
  const authorizer = authorizerOf({ api, event, template, findings })
  const validation = api.kind === 'rest-api' ? samValidation(event, api.models, template) : undefined
  const key = event.at('Properties', 'Auth', 'ApiKeyRequired') ?? api.auth?.get('ApiKeyRequired')
  const required = api.kind === 'rest-api' && key !== undefined && textOf(key, template) === 'true'
  return {
    ...(authorizer === undefined ? {} : { authorizer }),
    ...(validation === undefined ? {} : { validation }),
    ...(required ? { apiKeyRequired: true, apiKeys: apiKeys(key, template, findings) } : {}),
  }
}
