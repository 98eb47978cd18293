import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

import type { FunctionSettings } from '../service/function-settings.ts'
import { mapOf, numberOrNone, textOrNone } from './api-settings.ts'
import { warn, warnOfKeys } from './findings.ts'
import { layersOf } from './layers.ts'
import { attribute } from './references.ts'
import { resolvedNode } from './resolved-node.ts'
import { settledValue, type EventContext } from './service.ts'
import { logicalId } from './service-template.ts'
import { asText, type Value } from './value.ts'
import { at } from './variables.ts'
import type { YamlNode } from './yaml-file.ts'

/** What a function of a service says of everything around its code. */
export function addServerlessSettings(context: EventContext & { readonly id: string }): void {
  const { id, node, service } = context
  const own = attribute([`${logicalId(id)}LambdaFunction`, 'Arn'], service.template, node)
  add(context, 'functionName', asText(own).split(':').at(-1), node)
  for (const name of NUMBERS) {
    const said = node.get(name)
    if (said !== undefined) add(context, name, number(settledValue(service, said)), said)
  }
  addProvisioned(context, node.get('provisionedConcurrency'))
  addTarget(context, 'deadLetter', node.get('onError'))
  addTarget(context, 'onSuccess', node.at('destinations', 'onSuccess'))
  addTarget(context, 'onFailure', node.at('destinations', 'onFailure'))
  addLayers(context)
  warnOfKeys((key) => node.get(key) ?? at(service.source, 'provider', key), IGNORED, service.findings)
}

const NUMBERS = ['reservedConcurrency', 'maximumRetryAttempts', 'maximumEventAge'] as const

const IGNORED: Readonly<Record<string, string>> = {
  vpc: 'there is no VPC here',
  fileSystemConfig: 'file systems are not mounted',
  snapStart: 'environments start from nothing',
  tenancy: 'tenants share environments',
}

function add(
  { name, service }: EventContext,
  setting: keyof FunctionSettings,
  value: unknown,
  node: YamlNode,
): void {
  if (value !== undefined && value !== null)
    service.findings.additions.push({ function: name, node, setting, value })
}

/** What is no number stays what it is, and is told as a fault. */
function number(value: Value | undefined): Value | undefined {
  return numberOrNone(value) ?? value
}

/** A number, or `{ executions, alias }`. */
function addProvisioned(context: EventContext, node: YamlNode | undefined): void {
  const value = settledValue(context.service, node)
  if (node === undefined || value === undefined || value === null) return
  const { executions, alias } = mapOf(value)
  add(context, 'provisionedConcurrency', number(executions ?? value), node)
  add(context, 'alias', textOrNone(alias) ?? 'provisioned', node)
}

/** An ARN, the name of a function of the service, or `{ type, arn }`. */
function addTarget(
  context: EventContext,
  setting: 'deadLetter' | 'onSuccess' | 'onFailure',
  node: YamlNode | undefined,
): void {
  const { service } = context
  const value = settledValue(service, node)
  const text = textOrNone(mapOf(value)['arn'] ?? value)
  if (node === undefined || text === undefined) return
  const isOurs = service.functions.some(([id]) => id === text)
  const arn = isOurs ? attribute([`${logicalId(text)}LambdaFunction`, 'Arn'], service.template, node) : text
  add(context, setting, arn, node)
}

/** The function's own list, else the provider's. */
function addLayers(context: EventContext): void {
  const { name, node, service } = context
  const { source, template, findings } = service
  const said = node.get('layers') ?? at(source, 'provider', 'layers')
  if (said === undefined) return
  const layers = resolvedNode(said, source)
  const paths = layersOf(layers, { function: name, template, findings, file: source.file })
  if (paths.length > 0) add(context, 'layers', paths, said)
}

/** A zip file that the function is deployed from, where it is there. */
export function artifactOf({ node, service }: EventContext): string | undefined {
  const { source, directory, findings } = service
  const said = node.at('package', 'artifact') ?? at(source, 'package', 'artifact')
  const text = textOrNone(settledValue(service, said))
  if (said === undefined || text === undefined || text === '') return undefined
  const path = resolve(directory, text)
  if (existsSync(path)) return path
  warn(findings, said, `the artifact ${text} is not there: the code of the folder is served`)
  return undefined
}
