import { readFileSync } from 'node:fs'
import { dirname, extname } from 'node:path'
import { readFile } from 'node:fs/promises'

import type { DetectOptions } from '../../../core/function.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { region } from '../definition.ts'
import { completed } from './additions.ts'
import { addGatewayRoutes } from './gateway-resources.ts'
import { dotenvOf } from './dotenv.ts'
import { inRegion, noFindings, sayOnce, warnOfKeys, type Findings } from './findings.ts'
import { ordered } from './routes.ts'
import { addServerlessFunction } from './serverless-function.ts'
import { addWebSockets } from './serverless-websocket.ts'
import type { Service } from './service.ts'
import { serviceTemplate } from './service-template.ts'
import { addStackResources } from './stack-resources.ts'
import { addWebSocketApis } from './web-socket-resources.ts'
import { warnOfResources } from './unread-resources.ts'
import { asText } from './value.ts'
import { at, expanded, resolveNode, type VariableSource } from './variables.ts'
import { faultAt, nodeOf, yamlParser, type YamlNode, type YamlParser } from './yaml-file.ts'

/** Reads a Serverless configuration. */
export async function readServerless(file: AbsolutePath, options: DetectOptions): Promise<Findings> {
  const findings = noFindings()
  findings.files.push(file)
  const parse = await yamlParser()
  const { root, faults } = parse(file, await readFile(file, 'utf8'))
  findings.faults.push(...faults)
  if (root === undefined) return findings
  const source = await openSource({ root, file, options, findings, read: reader(parse, findings) })
  const provider = at(source, 'provider', 'name') ?? at(source, 'provider')
  if (provider?.value !== undefined && provider.value !== 'aws') {
    findings.faults.push(
      faultAt(provider, `provider ${provider.value} is not emulated`, {
        severity: 'warning',
        hint: 'Only aws is.',
      }),
    )
    return findings
  }
  const service = openService(source, findings)
  for (const [id, node] of service.functions) addServerlessFunction({ id, node, service })
  addWebSockets(service)
  addWebSocketApis(service.template, findings)
  addGatewayRoutes(service.template, findings)
  addStackResources(service.template, findings)
  warnOfResources(service.template.root, findings)
  warnOfKeys((key) => root.get(key), SECTIONS, findings)
  warnOfKeys((key) => at(source, 'resources', key), PARTS_OF_RESOURCES, findings)
  const placed = at(source, 'provider', 'region') === undefined ? findings : inRegion(findings, source.region)
  return completed({ ...placed, routes: ordered(findings.routes) })
}

interface SourceParts extends Pick<VariableSource, 'root' | 'file' | 'read'> {
  readonly options: DetectOptions
  readonly findings: Findings
}

async function openSource({ options, findings, ...parts }: SourceParts): Promise<VariableSource> {
  const bare: VariableSource = {
    ...parts,
    environment: options.environment,
    region: region(options.environment),
    active: new Set(),
    warn: (fault) => sayOnce(findings, fault),
  }
  const { files, values } = await dotenvOf(parts.root, dirname(parts.file), stageOf(bare))
  findings.files.push(...files)
  const source = { ...bare, environment: { ...values, ...options.environment } }
  const said = at(source, 'provider', 'region')
  return said === undefined
    ? source
    : { ...source, region: asText(resolveNode(said, source)) || source.region }
}

function stageOf(source: VariableSource): string {
  const said = at(source, 'provider', 'stage')
  return said === undefined ? 'dev' : asText(resolveNode(said, source))
}

/** Files are read once; one that is written badly is told like the first. */
function reader(parse: YamlParser, findings: Findings): VariableSource['read'] {
  const known = new Map<string, YamlNode | undefined>()
  const read = (path: string): YamlNode | undefined => {
    const file = path as AbsolutePath
    try {
      const text = readFileSync(file, 'utf8')
      findings.files.push(file)
      if (!/^\.(ya?ml|json)$/.test(extname(file)))
        return nodeOf(text.trimEnd(), { place: { file, line: 1, column: 1 }, line: '' })
      const { root, faults } = parse(file, text)
      findings.faults.push(...faults)
      return root
    } catch {
      return undefined
    }
  }
  return (path) => {
    if (!known.has(path)) known.set(path, read(path))
    return known.get(path)
  }
}

function openService(source: VariableSource, findings: Findings): Service {
  const service = source.root.at('service', 'name') ?? source.root.get('service')
  const name = asText(service === undefined ? 'service' : resolveNode(service, source))
  const stage = stageOf(source)
  const functions = functionNodes(source)
  return {
    source,
    findings,
    directory: dirname(source.file) as AbsolutePath,
    stage,
    name,
    functions,
    template: serviceTemplate({ source, findings, stage, name, functions }),
  }
}

/** `functions` is a map, or a list of maps and files of them. */
function functionNodes(source: VariableSource): (readonly [string, YamlNode])[] {
  const functions = at(source, 'functions')
  const maps = functions?.kind === 'list' ? functions.items() : [functions]
  return maps
    .flatMap((item) => expanded(item, source)?.entries() ?? [])
    .map(([id, node]) => [id, expanded(node, source) ?? node] as const)
}

const SECTIONS: Readonly<Record<string, string>> = {
  stepFunctions: 'state machines are not run',
}

const PARTS_OF_RESOURCES: Readonly<Record<string, string>> = {
  extensions: 'what the framework makes is not changed',
}
