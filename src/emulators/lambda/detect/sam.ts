import { readFile } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'

import type { DetectOptions } from '../../../core/function.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { region } from '../definition.ts'
import { findHandlerFile } from '../handler-file.ts'
import {
  checkHandler,
  checkRuntime,
  functionName,
  noFindings,
  sayOnce,
  warnOfKeys,
  type Findings,
} from './findings.ts'
import { isMet, textOf, valueOf, type Template } from './intrinsics.ts'
import { byPriority } from './routes.ts'
import { addEvents } from './sam-events.ts'
import { faultAt, parseYaml, type YamlNode } from './yaml-file.ts'

const SERVERLESS_FUNCTION = 'AWS::Serverless::Function'
const FUNCTION = 'AWS::Lambda::Function'

/** Resources that mean nothing to a function that runs here, or that are part of what does. */
const SILENT =
  /^AWS::(IAM|Logs|CloudFormation|CloudWatch|Lambda::(Permission|Url|EventInvokeConfig)|SSM|SecretsManager|KMS|ApiGateway::(Account|Deployment))|^AWS::Serverless::(Function|Api|HttpApi)$|^AWS::Lambda::Function$|^AWS::Serverless-/

/** Reads a SAM or CloudFormation template. Undefined when it is none, or has no Lambda function. */
export async function readTemplate(
  file: AbsolutePath,
  options: DetectOptions,
): Promise<Findings | undefined> {
  const text = await readFile(file, 'utf8')
  if (!/AWS::(Serverless|Lambda)::Function/.test(text)) return undefined
  const findings = noFindings()
  findings.files.push(file)
  const { root, faults } = await parseYaml(file, text)
  findings.faults.push(...faults)
  if (root === undefined) return findings
  const template: Template = {
    root,
    region: region(options.environment),
    stackName: basename(dirname(file)),
    warn: (fault) => sayOnce(findings, fault),
  }
  for (const [id, resource] of root.get('Resources')?.entries() ?? [])
    addResource({ id, resource, template, findings, file })
  findings.routes.sort(byPriority)
  warnOfResources(root, findings)
  return findings
}

interface Context {
  readonly id: string
  readonly resource: YamlNode
  readonly template: Template
  readonly findings: Findings
  readonly file: AbsolutePath
}

function addResource(context: Context): void {
  const { id, resource, template, findings } = context
  const type = String(resource.get('Type')?.value ?? '')
  if (type !== SERVERLESS_FUNCTION && type !== FUNCTION) return
  const condition = resource.get('Condition')
  if (condition !== undefined && !isMet(String(condition.value), template)) return
  const serverless = type === SERVERLESS_FUNCTION
  const globals = serverless ? template.root.at('Globals', 'Function') : undefined
  const property = (name: string): YamlNode | undefined =>
    resource.at('Properties', name) ?? globals?.get(name)
  const before = findings.functions.length
  addFunction(context, property)
  if (serverless && findings.functions.length > before)
    addEvents({ id: functionName(id), resource, template, findings })
}

type Property = (name: string) => YamlNode | undefined

function addFunction(context: Context, property: Property): void {
  const { id, resource, template, findings } = context
  const runtimeNode = property('Runtime')
  const checked = checkRuntime(textOf(runtimeNode, template), runtimeNode ?? resource, findings)
  const directory = codeFolder(context, property)
  if (checked === undefined || directory === undefined) return
  const handler = handlerOf(context, property, { ...checked, directory })
  if (handler === undefined) return
  warnOfProperties(property, findings)
  findings.functions.push({
    name: functionName(id),
    provider: 'lambda',
    directory,
    origin: (property('Handler') ?? resource).place,
    environment: variablesOf(template, resource),
    timeoutMs: milliseconds(textOf(property('Timeout'), template)),
    memoryMb: numberOf(textOf(property('MemorySize'), template)),
    options: checked.runtime === undefined ? handler : { ...handler, runtime: checked.runtime },
  })
}

interface CodePlace {
  readonly runtime: string | undefined
  readonly directory: AbsolutePath
}

/** What is run: a handler whose file is there, or the bootstrap of a custom runtime. */
function handlerOf(
  { id, resource, template, findings }: Context,
  property: Property,
  { runtime, directory }: CodePlace,
): { readonly handler: string; readonly entry?: string } | undefined {
  const node = property('Handler')
  const handler = textOf(node, template)
  if (node === undefined || handler === undefined) {
    if (runtime?.startsWith('provided') === true) return { handler: 'bootstrap' }
    findings.faults.push(faultAt(resource, `${id} has no Handler`, { hint: 'Add Handler: app.handler.' }))
    return undefined
  }
  const entry = esbuildEntry(resource, directory)
  if (entry !== undefined) return { handler, entry }
  const fault = checkHandler({ handler, runtime, directory }, node)
  if (fault !== undefined) findings.faults.push(fault)
  return { handler }
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined || text === '' || Number.isNaN(Number(text)) ? undefined : Number(text)
}

function milliseconds(seconds: string | undefined): number | undefined {
  const number = numberOf(seconds)
  return number === undefined ? undefined : number * 1000
}

/** The folder of CodeUri; a place in the cloud or text in the template is no folder. */
function codeFolder(context: Context, property: Property): AbsolutePath | undefined {
  const { resource, template, findings, file } = context
  const unusable =
    ['InlineCode', 'ImageUri'].map(property).find((node) => node !== undefined) ?? imagePackage(property)
  const code = property('CodeUri') ?? property('Code')
  const uri = code === undefined ? '.' : codeUri(code, template)
  if (unusable === undefined && uri !== undefined && !uri.startsWith('s3://'))
    return resolve(dirname(file), uri) as AbsolutePath
  findings.faults.push(
    faultAt(unusable ?? code ?? resource, 'this code is in no folder of yours; the function is left out', {
      severity: 'warning',
      hint: 'Set CodeUri to a folder.',
    }),
  )
  return undefined
}

/** CloudFormation's own `Code` is a map of places in the cloud, until `package` has put it there. */
function codeUri(code: YamlNode, template: Template): string | undefined {
  const value = valueOf(code, template)
  return typeof value === 'string' ? value : undefined
}

function imagePackage(property: Property): YamlNode | undefined {
  const type = property('PackageType')
  return type?.value === 'Image' ? type : undefined
}

/** The source that `sam build` would compile the handler from. */
function esbuildEntry(resource: YamlNode, directory: string): string | undefined {
  if (resource.at('Metadata', 'BuildMethod')?.value !== 'esbuild') return undefined
  const handler = String(resource.at('Properties', 'Handler')?.value ?? '')
  const stem = basename(handler).split('.')[0]
  const entries = resource.at('Metadata', 'BuildProperties', 'EntryPoints')?.items() ?? []
  const paths = entries.map((entry) => String(entry.value))
  const found = paths.find((path) => basename(path, extname(path)) === stem) ?? paths[0]
  return found !== undefined && findHandlerFile(found, directory) !== undefined ? found : undefined
}

function variablesOf(template: Template, resource: YamlNode): Record<string, string> {
  const sources = [
    template.root.at('Globals', 'Function', 'Environment', 'Variables'),
    resource.at('Properties', 'Environment', 'Variables'),
  ]
  const pairs = sources.flatMap((node) => node?.entries() ?? [])
  return Object.fromEntries(pairs.map(([name, node]) => [name, textOf(node, template) ?? '']))
}

const IGNORED_PROPERTIES: Readonly<Record<string, string>> = {
  Layers: 'layers are not mounted',
  VpcConfig: 'there is no VPC here',
  FileSystemConfigs: 'file systems are not mounted',
  DeadLetterQueue: 'there is no queue to send failed events to',
  SnapStart: 'environments start from nothing',
}

function warnOfProperties(property: Property, findings: Findings): void {
  warnOfKeys(property, IGNORED_PROPERTIES, findings)
  const authType = property('FunctionUrlConfig')?.get('AuthType')
  if (authType?.value === 'AWS_IAM') {
    findings.faults.push(
      faultAt(authType, 'signatures are not checked: this function URL answers everyone', {
        severity: 'warning',
      }),
    )
  }
}

/** One warning a type: what the cloud would have made, and nobody makes here. */
function warnOfResources(root: YamlNode, findings: Findings): void {
  const byType = new Map<string, { readonly node: YamlNode; readonly ids: string[] }>()
  for (const [id, resource] of root.get('Resources')?.entries() ?? []) {
    const type = String(resource.get('Type')?.value ?? '')
    if (SILENT.test(type)) continue
    const entry = byType.get(type) ?? { node: resource.get('Type') ?? resource, ids: [] }
    byType.set(type, entry)
    entry.ids.push(id)
  }
  for (const [type, { node, ids }] of byType) {
    findings.faults.push(faultAt(node, `${type} is not emulated: ${ids.join(', ')}`, { severity: 'warning' }))
  }
}
