import { corsOf, mapOf, textOrNone } from './api-settings.ts'
import { checkHandler, checkRuntime, functionName, warnOfKeys } from './findings.ts'
import { valueOf } from './intrinsics.ts'
import { addServerlessEvents } from './serverless-events.ts'
import { SERVERLESS_CORS } from './serverless-guards.ts'
import { valueIn, type Service } from './service.ts'
import { asText, type Value } from './value.ts'
import { at } from './variables.ts'
import { faultAt, nodeOf, type YamlNode } from './yaml-file.ts'

/** What the Serverless Framework deploys with when a file does not say. */
const DEFAULT_TIMEOUT_S = 6
const DEFAULT_MEMORY_MB = 1024

interface Context {
  readonly id: string
  readonly node: YamlNode
  readonly service: Service
}

/** Adds a function and its routes; one that cannot be run here is told. */
export function addServerlessFunction(context: Context): void {
  const { id, node, service } = context
  const { findings, directory } = service
  // What a function does not say is what its provider says.
  const setting = (name: string): YamlNode | undefined =>
    node.get(name) ?? at(service.source, 'provider', name)
  const runtimeNode = setting('runtime')
  const checked = checkRuntime(textOrNone(valueIn(service, runtimeNode)), runtimeNode ?? node, findings)
  const handlerNode = node.get('handler')
  const handler = textOrNone(valueIn(service, handlerNode))
  if (checked === undefined) return
  if (handler === undefined || handlerNode === undefined) {
    findings.faults.push(missingHandler(context))
    return
  }
  const fault = checkHandler({ handler, runtime: checked.runtime, directory }, handlerNode)
  if (fault !== undefined) findings.faults.push(fault)
  const name = functionName(id)
  findings.functions.push({
    name,
    provider: 'lambda',
    directory,
    origin: handlerNode.place,
    environment: environmentOf(context),
    timeoutMs: numberOf(valueIn(service, setting('timeout')), DEFAULT_TIMEOUT_S) * 1000,
    memoryMb: numberOf(valueIn(service, setting('memorySize')), DEFAULT_MEMORY_MB),
    options: {
      handler,
      ...(checked.runtime === undefined ? {} : { runtime: checked.runtime }),
      ...urlOf(context),
    },
  })
  warnOfKeys((key) => node.get(key), IGNORED, findings)
  addServerlessEvents({ name, node, service })
}

function numberOf(value: Value | undefined, otherwise: number): number {
  const number = Number(value ?? otherwise)
  return Number.isNaN(number) ? otherwise : number
}

function environmentOf({ node, service }: Context): Record<string, string> {
  return {
    ...variablesOf(at(service.source, 'provider', 'environment'), service),
    ...variablesOf(node.get('environment'), service),
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

/** A variable that is null is one the file takes away. References to resources are CloudFormation's. */
function variablesOf(node: YamlNode | undefined, service: Service): Record<string, string> {
  const value = mapOf(valueIn(service, node))
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== null)
      .map(([name, one]) => [name, textIn(one, node ?? service.source.root, service)]),
  )
}

function textIn(value: Value, node: YamlNode, { template }: Service): string {
  return typeof value === 'object' ? asText(valueOf(nodeOf(value, node), template)) : String(value)
}

/** `url: true`, or what it says of CORS and of who may ask. */
function urlOf({ node, service }: Context): { readonly url?: Readonly<Record<string, unknown>> } {
  const url = mapOf(valueIn(service, node.get('url')))
  const cors = corsOf(url['cors'], SERVERLESS_CORS)
  const authorizer = node.at('url', 'authorizer')
  if (authorizer !== undefined && url['authorizer'] !== 'none' && url['authorizer'] !== null) {
    const message = 'signatures are not checked: this function URL answers everyone'
    service.findings.faults.push(faultAt(authorizer, message, { severity: 'warning' }))
  }
  return cors === undefined ? {} : { url: { cors } }
}

const IGNORED: Readonly<Record<string, string>> = {
  layers: 'layers are not mounted',
  vpc: 'there is no VPC here',
  fileSystemConfig: 'file systems are not mounted',
  destinations: 'results are not sent on',
  onError: 'failed events are not sent on',
}
