import { readFile } from 'node:fs/promises'
import { dirname, extname } from 'node:path'

import type { DetectOptions } from '../../../core/function.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { region } from '../definition.ts'
import {
  checkHandler,
  checkRuntime,
  functionName,
  noFindings,
  sayOnce,
  warnOfKeys,
  type Findings,
} from './findings.ts'
import type { Value } from './value.ts'
import { byPriority } from './routes.ts'
import { addServerlessEvents } from './serverless-events.ts'
import { resolveNode, type VariableSource } from './variables.ts'
import { faultAt, parseYaml, type YamlNode } from './yaml-file.ts'

/** What the Serverless Framework deploys with when a file does not say. */
const DEFAULT_TIMEOUT_S = 6
const DEFAULT_MEMORY_MB = 1024

/** Reads a Serverless configuration. */
export async function readServerless(file: AbsolutePath, options: DetectOptions): Promise<Findings> {
  const findings = noFindings()
  findings.files.push(file)
  const { root, faults } = await parseYaml(file, await readFile(file, 'utf8'))
  findings.faults.push(...faults)
  if (root === undefined) return findings
  const yaml = await import('yaml')
  const source: VariableSource = {
    root,
    file,
    environment: options.environment,
    region: region(options.environment),
    parse: (path, text) => (/^\.(ya?ml|json)$/.test(extname(path)) ? (yaml.parse(text) as Value) : undefined),
    warn: (fault) => sayOnce(findings, fault),
  }
  const provider = root.at('provider', 'name') ?? root.get('provider')
  if (provider?.value !== undefined && provider.value !== 'aws') {
    findings.faults.push(
      faultAt(provider, `provider ${provider.value} is not emulated`, {
        severity: 'warning',
        hint: 'Only aws is.',
      }),
    )
    return findings
  }
  for (const [id, node] of functionNodes(root)) addFunction({ id, node, source, findings, file })
  findings.routes.sort(byPriority)
  warnOfSections(root, findings)
  return findings
}

/** `functions` is a map, or a list of maps. */
function functionNodes(root: YamlNode): (readonly [string, YamlNode])[] {
  const functions = root.get('functions')
  if (functions === undefined) return []
  return functions.kind === 'list'
    ? functions.items().flatMap((item) => item.entries())
    : [...functions.entries()]
}

interface Context {
  readonly id: string
  readonly node: YamlNode
  readonly source: VariableSource
  readonly findings: Findings
  readonly file: AbsolutePath
}

function addFunction(context: Context): void {
  const { id, node, source, findings, file } = context
  // What a function does not say is what its provider says.
  const setting = (name: string): YamlNode | undefined => node.get(name) ?? source.root.at('provider', name)
  const runtimeNode = setting('runtime')
  const checked = checkRuntime(textOf(runtimeNode, source), runtimeNode ?? node, findings)
  const handlerNode = node.get('handler')
  const handler = textOf(handlerNode, source)
  if (checked === undefined) return
  if (handler === undefined || handlerNode === undefined) {
    findings.faults.push(missingHandler(context))
    return
  }
  const directory = dirname(file) as AbsolutePath
  const fault = checkHandler({ handler, runtime: checked.runtime, directory }, handlerNode)
  if (fault !== undefined) findings.faults.push(fault)
  const name = functionName(id)
  findings.functions.push({
    name,
    provider: 'lambda',
    directory,
    origin: handlerNode.place,
    environment: environmentOf(context),
    timeoutMs: Number(textOf(setting('timeout'), source) ?? DEFAULT_TIMEOUT_S) * 1000,
    memoryMb: Number(textOf(setting('memorySize'), source) ?? DEFAULT_MEMORY_MB),
    options: checked.runtime === undefined ? { handler } : { handler, runtime: checked.runtime },
  })
  warnOfKeys((key) => node.get(key), IGNORED, findings)
  addServerlessEvents({ name, node, source, findings })
}

function textOf(node: YamlNode | undefined, source: VariableSource): string | undefined {
  const value = node === undefined ? undefined : resolveNode(node, source)
  return value === undefined || value === null || typeof value === 'object' ? undefined : String(value)
}

function environmentOf({ node, source }: Context): Record<string, string> {
  return {
    ...variablesOf(source.root.at('provider', 'environment'), source),
    ...variablesOf(node.get('environment'), source),
  }
}

function missingHandler({ id, node }: Context): ReturnType<typeof faultAt> {
  const image = node.get('image')
  if (image !== undefined) {
    return faultAt(image, `${id} is a container image; it is left out`, {
      severity: 'warning',
      hint: 'Set handler to run its code.',
    })
  }
  return faultAt(node, `${id} has no handler`, { hint: 'Add handler: src/hello.handler.' })
}

/** A variable that is null is one the file takes away. */
function variablesOf(node: YamlNode | undefined, source: VariableSource): Record<string, string> {
  const value = node === undefined ? undefined : resolveNode(node, source)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {}
  const pairs = Object.entries(value).filter(([, one]) => one !== null)
  return Object.fromEntries(
    pairs.map(([name, one]) => [name, typeof one === 'object' ? referenceOf(one) : String(one)]),
  )
}

/** `Fn::GetAtt: [Table, Arn]` → `Table.Arn` */
function referenceOf(value: Value): string {
  const [only] = typeof value === 'object' && value !== null ? Object.values(value) : []
  return Array.isArray(only)
    ? only.filter((part) => typeof part !== 'object').join('.')
    : JSON.stringify(value)
}

const IGNORED: Readonly<Record<string, string>> = {
  layers: 'layers are not mounted',
  vpc: 'there is no VPC here',
  destinations: 'results are not sent on',
  onError: 'failed events are not sent on',
}

const SECTIONS: Readonly<Record<string, string>> = {
  layers: 'layers are not mounted',
  resources: 'resources are not emulated',
  stepFunctions: 'state machines are not run',
}

const HTTP_API: Readonly<Record<string, string>> = {
  cors: 'not emulated for an HTTP API',
  authorizers: 'not emulated for an HTTP API',
}

function warnOfSections(root: YamlNode, findings: Findings): void {
  warnOfKeys((key) => root.get(key), SECTIONS, findings)
  const httpApi = root.at('provider', 'httpApi')
  warnOfKeys((key) => httpApi?.get(key), HTTP_API, findings)
}
