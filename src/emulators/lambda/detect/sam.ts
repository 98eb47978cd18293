import { readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'

import type { DetectOptions } from '../../../core/function.ts'
import type { AbsolutePath, Fault } from '../../../core/place.ts'
import { region } from '../definition.ts'
import { addGatewayRoutes } from './gateway-resources.ts'
import { noFindings, sayOnce, type Findings } from './findings.ts'
import { isMet, openTemplate } from './intrinsics.ts'
import { nameIn } from './references.ts'
import { ordered } from './routes.ts'
import { addEvents } from './sam-events.ts'
import { addFunction } from './sam-function.ts'
import { readSamConfig } from './samconfig.ts'
import { resourcesOf, typeOf, type Template } from './template.ts'
import { faultAt, mergeNodes, parseYaml, type YamlNode } from './yaml-file.ts'

const SERVERLESS_FUNCTION = 'AWS::Serverless::Function'
const FUNCTION = 'AWS::Lambda::Function'

/** Resources that mean nothing to a function that runs here, or that are part of what does. */
const SILENT =
  /^AWS::(IAM|Logs|CloudFormation|CloudWatch|CDK|Lambda::(Permission|Url|EventInvokeConfig|Version|Alias)|SSM|SecretsManager|KMS|ApiGateway|ApiGatewayV2::(Api|Route|Integration|Stage|Authorizer|Deployment))(::|$)|^AWS::Serverless::(Function|Api|HttpApi)$|^AWS::Lambda::Function$|^AWS::Serverless-/

/** Reads a SAM or CloudFormation template. Undefined when it is none, or has no Lambda function. */
export async function readTemplate(
  file: AbsolutePath,
  options: DetectOptions,
): Promise<Findings | undefined> {
  const text = await readFile(file, 'utf8')
  if (!/AWS::(Serverless|Lambda)::Function/.test(text)) return undefined
  const findings = noFindings()
  findings.files.push(file)
  const config = await readSamConfig(dirname(file))
  if (config.file !== undefined) findings.files.push(config.file)
  const { root, faults } = await parseYaml(file, text)
  findings.faults.push(...faults)
  if (root === undefined) return findings
  const template = openTemplate({
    root,
    region: config.region ?? region(options.environment),
    stackName: config.stackName ?? basename(dirname(file)),
    parameters: config.parameters,
    isWhole: true,
    warn: (fault: Fault) => sayOnce(findings, fault),
  })
  addResources(template, findings, { file })
  warnOfResources(root, findings)
  return { ...findings, routes: ordered(findings.routes) }
}

interface ResourceChoice {
  readonly file: AbsolutePath
  /** Functions that are none of the user's. */
  readonly skips?: (id: string) => boolean
}

/** The functions of a template, and the routes that lead to them. */
export function addResources(
  template: Template,
  findings: Findings,
  { file, skips = () => false }: ResourceChoice,
): void {
  const globals = template.root.at('Globals', 'Function')
  for (const [id, resource] of resourcesOf(template.root)) {
    if (!isFunction(resource) || skips(id) || !isMade(resource, template)) continue
    const serverless = typeOf(resource) === SERVERLESS_FUNCTION
    const own = resource.get('Properties')
    const properties = serverless ? mergeNodes(globals, own) : own
    const added = addFunction({ id, resource, properties, template, findings, file })
    if (added && serverless)
      addEvents({ id: nameIn(template, id), events: properties?.get('Events'), template, findings })
  }
  addGatewayRoutes(template, findings)
}

function isFunction(resource: YamlNode): boolean {
  return typeOf(resource) === SERVERLESS_FUNCTION || typeOf(resource) === FUNCTION
}

function isMade(resource: YamlNode, template: Template): boolean {
  const condition = resource.get('Condition')
  return condition === undefined || isMet(String(condition.value), template, condition)
}

/** One warning a type: what the cloud would have made, and nobody makes here. */
function warnOfResources(root: YamlNode, findings: Findings): void {
  const byType = new Map<string, { readonly node: YamlNode; readonly ids: string[] }>()
  for (const [id, resource] of resourcesOf(root)) {
    const type = typeOf(resource)
    if (SILENT.test(type)) continue
    const entry = byType.get(type) ?? { node: resource.get('Type') ?? resource, ids: [] }
    byType.set(type, entry)
    entry.ids.push(id)
  }
  for (const [type, { node, ids }] of byType) {
    const what = type === '' ? 'a resource without a Type' : type
    findings.faults.push(faultAt(node, `${what} is not emulated: ${ids.join(', ')}`, { severity: 'warning' }))
  }
}
