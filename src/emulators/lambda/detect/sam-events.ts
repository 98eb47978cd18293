import { sayOnce, type Findings } from './findings.ts'
import { textOf, type Template } from './intrinsics.ts'
import { apiRoute } from './routes.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

interface EventContext {
  /** The function's name. */
  readonly id: string
  readonly resource: YamlNode
  readonly template: Template
  readonly findings: Findings
}

/** What to invoke the function with by hand, where nothing delivers its events. */
const SAMPLES: Readonly<Record<string, string>> = {
  SQS: 'aws:sqs',
  SNS: 'aws:sns',
  S3: 'aws:s3',
  DynamoDB: 'aws:dynamodb',
  Kinesis: 'aws:kinesis',
  EventBridgeRule: 'aws:eventbridge',
  CloudWatchEvent: 'aws:eventbridge',
  Schedule: 'aws:schedule',
  ScheduleV2: 'aws:schedule',
  CloudWatchLogs: 'aws:logs',
  Cognito: 'aws:cognito',
}

/** The routes of a function's `Events`; a warning for each event that nothing here sends. */
export function addEvents(context: EventContext): void {
  for (const [, event] of context.resource.at('Properties', 'Events')?.entries() ?? []) {
    const type = String(event.get('Type')?.value ?? '')
    if (type === 'Api') addApi(context, event)
    else if (type === 'HttpApi') addHttpApi(context, event)
    else {
      const sample = SAMPLES[type]
      context.findings.faults.push(
        faultAt(
          event.get('Type') ?? event,
          `${context.id}: events of the type ${type} are not delivered here`,
          {
            severity: 'warning',
            ...(sample === undefined
              ? {}
              : { hint: `Send one by hand: flexi invoke --event ${sample} ${context.id}` }),
          },
        ),
      )
    }
  }
}

function addApi({ id, template, findings }: EventContext, event: YamlNode): void {
  const api = apiOf(event, 'RestApiId', template)
  const globals = template.root.at('Globals', 'Api')
  const setting = (name: string): YamlNode | undefined => api?.get(name) ?? globals?.get(name)
  findings.routes.push(
    apiRoute({
      functionName: id,
      frontEnd: 'rest-api',
      method: textOf(event.at('Properties', 'Method'), template),
      path: textOf(event.at('Properties', 'Path'), template) ?? '/',
      origin: event.place,
      options: {
        stage: textOf(setting('StageName'), template) ?? 'Prod',
        stageVariables: variables(setting('Variables'), template),
        binaryMediaTypes: binaryTypes(setting('BinaryMediaTypes'), template),
      },
    }),
  )
  warnOfGuards([api, globals, event.get('Properties')], findings)
}

/** A template writes slashes as ~1, since it is a JSON pointer's key to API Gateway. */
function binaryTypes(node: YamlNode | undefined, template: Template): string[] {
  return node?.items().map((item) => (textOf(item, template) ?? '').replaceAll('~1', '/')) ?? []
}

function addHttpApi({ id, template, findings }: EventContext, event: YamlNode): void {
  const api = apiOf(event, 'ApiId', template)
  const globals = template.root.at('Globals', 'HttpApi')
  findings.routes.push(
    apiRoute({
      functionName: id,
      frontEnd: 'http-api',
      method: textOf(event.at('Properties', 'Method'), template),
      path: textOf(event.at('Properties', 'Path'), template),
      origin: event.place,
      options: {
        stage: textOf(api?.get('StageName'), template) ?? '$default',
        stageVariables: variables(api?.get('StageVariables') ?? globals?.get('StageVariables'), template),
        payloadFormat:
          textOf(event.at('Properties', 'PayloadFormatVersion'), template) === '1.0' ? '1.0' : '2.0',
      },
    }),
  )
  warnOfGuards([api, globals, event.get('Properties')], findings)
}

/** The API that an event names, when the template has it. */
function apiOf(event: YamlNode, property: string, template: Template): YamlNode | undefined {
  const id = textOf(event.at('Properties', property), template)
  return id === undefined ? undefined : template.root.at('Resources', id, 'Properties')
}

function variables(node: YamlNode | undefined, template: Template): Record<string, string> | undefined {
  if (node === undefined) return undefined
  return Object.fromEntries(node.entries().map(([name, value]) => [name, textOf(value, template) ?? '']))
}

const GUARDS: Readonly<Record<string, string>> = {
  Auth: 'nobody is asked who they are',
  Cors: 'preflight requests reach the function',
  CorsConfiguration: 'preflight requests reach the function',
}

/** What an API would do before it calls its function, said once a place. */
function warnOfGuards(nodes: readonly (YamlNode | undefined)[], findings: Findings): void {
  for (const [name, message] of Object.entries(GUARDS)) {
    for (const found of nodes.map((node) => node?.get(name))) {
      if (found !== undefined)
        sayOnce(findings, faultAt(found, `${name} is not emulated: ${message}`, { severity: 'warning' }))
    }
  }
}
