import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import type { DetectOptions } from '../../../core/function.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { region } from '../definition.ts'
import { completed } from './additions.ts'
import { functionName, inRegion, merge, noFindings, sayOnce, type Findings } from './findings.ts'
import { openTemplate } from './intrinsics.ts'
import { ordered } from './routes.ts'
import { addResources } from './sam.ts'
import { resourcesOf } from './template.ts'
import { warnOfResources } from './unread-resources.ts'
import { parseYaml, yamlParser, type YamlNode } from './yaml-file.ts'

/** Reads what `cdk synth` wrote: every stack's template, whose functions say where their code lies. */
export async function readCloudAssembly(
  manifest: AbsolutePath,
  options: DetectOptions,
  depth = 0,
): Promise<Findings> {
  const findings = noFindings()
  findings.files.push(manifest)
  const folder = dirname(manifest)
  for (const { type, file, directory, region: said } of await artifactsOf(manifest)) {
    if (type === 'cdk:cloud-assembly' && directory !== undefined && depth < ASSEMBLIES_DEEP) {
      const inner = join(folder, directory, 'manifest.json') as AbsolutePath
      merge(findings, await readCloudAssembly(inner, options, depth + 1))
    } else if (type === 'aws:cloudformation:stack' && file !== undefined)
      await readStack(join(folder, file) as AbsolutePath, findings, { ...options, region: said })
  }
  return completed({ ...findings, routes: ordered(findings.routes) })
}

/** A pipeline's stages hold assemblies of their own. */
const ASSEMBLIES_DEEP = 5

interface Artifact {
  readonly type: string
  readonly file: string | undefined
  readonly directory: string | undefined
  readonly region: string | undefined
}

async function artifactsOf(manifest: AbsolutePath): Promise<Artifact[]> {
  const text = await readFile(manifest, 'utf8').catch(() => '')
  const { root } = await parseYaml(manifest, text)
  const textAt = (node: YamlNode | undefined): string | undefined =>
    typeof node?.value === 'string' ? node.value : undefined
  return (root?.get('artifacts')?.entries() ?? []).map(([, artifact]) => ({
    type: textAt(artifact.get('type')) ?? '',
    file: textAt(artifact.at('properties', 'templateFile')),
    directory: textAt(artifact.at('properties', 'directoryName')),
    region: regionIn(textAt(artifact.get('environment'))),
  }))
}

/** `aws://ACCOUNT/REGION`; a stack that may go anywhere says `unknown-region`. */
function regionIn(environment: string | undefined): string | undefined {
  const said = environment?.split('/').at(-1)
  return said === undefined || said.startsWith('unknown') ? undefined : said
}

async function readStack(
  file: AbsolutePath,
  findings: Findings,
  options: DetectOptions & { readonly region: string | undefined },
): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => '')
  if (!text.includes('AWS::Lambda::Function') && !text.includes('AWS::Serverless::Function')) return
  findings.files.push(file)
  const parse = await yamlParser()
  const { root, faults } = parse(file, text)
  findings.faults.push(...faults)
  if (root === undefined) return
  const first = findings.functions.length
  const template = openTemplate({
    root,
    region: options.region ?? region(options.environment),
    stackName: stackName(file),
    parameters: new Map(),
    names: constructNames(root),
    isWhole: true,
    warn: (fault) => sayOnce(findings, fault),
  })
  addResources(template, findings, { file, parse, skips: (id) => OF_CDK.test(id) })
  warnOfResources(root, findings)
  if (options.region !== undefined) placeFrom(first, findings, options.region)
}

/** The functions of one stack are where that stack is. */
function placeFrom(first: number, findings: Findings, where: string): void {
  const own = { ...findings, functions: findings.functions.slice(first) }
  findings.functions.splice(first, own.functions.length, ...inRegion(own, where).functions)
}

function stackName(file: string): string {
  return (file.split(/[\\/]/).at(-1) ?? '').replace(/\.template\.json$/, '')
}

/** Functions that CDK adds for itself while it deploys. */
const OF_CDK = /^(Custom[A-Z]|LogRetention[0-9a-f]{8}|AWS679f53fac|BucketNotificationsHandler|AWSCDK)/

/** `Stack/Api/Hello/Resource` → `Api-Hello`, unless two are called so. Resources have a hash in their names. */
function constructNames(root: YamlNode): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const [id, resource] of resourcesOf(root)) {
    if (resource.get('Type')?.value !== 'AWS::Lambda::Function') continue
    const path = String(resource.at('Metadata', 'aws:cdk:path')?.value ?? '').split('/')
    const name = functionName(path.slice(1, -1).join('-'))
    if (name !== '' && ![...names.values()].includes(name)) names.set(id, name)
  }
  return names
}
