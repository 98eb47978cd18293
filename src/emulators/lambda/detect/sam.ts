import { readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'

import type { DetectOptions } from '../../../core/function.ts'
import type { AbsolutePath, Fault } from '../../../core/place.ts'
import { region } from '../definition.ts'
import { completed } from './additions.ts'
import { addGatewayRoutes } from './gateway-resources.ts'
import { inRegion, noFindings, sayOnce, type Findings } from './findings.ts'
import { openTemplate } from './intrinsics.ts'
import { isMade } from './made.ts'
import { addOpenApis } from './open-api.ts'
import { nameIn } from './references.ts'
import { ordered } from './routes.ts'
import { addEvents } from './sam-events.ts'
import { addFunction } from './sam-function.ts'
import { readSamConfig } from './samconfig.ts'
import { addStackResources } from './stack-resources.ts'
import { resourcesOf, typeOf, type Template } from './template.ts'
import { addWebSocketApis } from './web-socket-resources.ts'
import { warnOfResources } from './unread-resources.ts'
import { mergeNodes, yamlParser, type YamlNode, type YamlParser } from './yaml-file.ts'

const SERVERLESS_FUNCTION = 'AWS::Serverless::Function'
const FUNCTION = 'AWS::Lambda::Function'

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
  const parse = await yamlParser()
  const { root, faults } = parse(file, text)
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
  addResources(template, findings, { file, parse })
  warnOfResources(root, findings)
  const placed = config.region === undefined ? findings : inRegion(findings, config.region)
  return completed({ ...placed, routes: ordered(findings.routes) })
}

interface ResourceChoice {
  readonly file: AbsolutePath
  readonly parse: YamlParser
  /** Functions that are none of the user's. */
  readonly skips?: (id: string) => boolean
}

/** The functions of a template, and the routes that lead to them. */
export function addResources(
  template: Template,
  findings: Findings,
  { file, parse, skips = () => false }: ResourceChoice,
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
  addOpenApis({ template, findings, file, parse })
  addGatewayRoutes(template, findings)
  addWebSocketApis(template, findings)
  addStackResources(template, findings)
}

function isFunction(resource: YamlNode): boolean {
  return typeOf(resource) === SERVERLESS_FUNCTION || typeOf(resource) === FUNCTION
}
