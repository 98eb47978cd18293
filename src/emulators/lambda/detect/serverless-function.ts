import type { AbsolutePath } from '../../../core/place.ts'
import { corsOf, mapOf, textOrNone } from './api-settings.ts'
import type { BuildSettings } from '../service/build-settings.ts'
import { archiveOptions } from './archive.ts'
import { buildSettings } from './build-settings.ts'
import { checkHandler, checkRuntime, functionName } from './findings.ts'
import { addServerlessEvents } from './serverless-events.ts'
import { SERVERLESS_CORS } from './serverless-guards.ts'
import { addServerlessSettings, artifactOf } from './serverless-settings.ts'
import { settledValue, valueIn, type Service } from './service.ts'
import { asText, type Value } from './value.ts'
import { withoutNone } from './source-values.ts'
import { at } from './variables.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

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
  const name = functionName(id)
  const archive = artifactOf({ name, node, service })
  const fault =
    archive === undefined
      ? checkHandler({ handler, runtime: checked.runtime, directory }, handlerNode)
      : undefined
  if (fault !== undefined) findings.faults.push(fault)
  if (archive !== undefined) findings.files.push(archive as AbsolutePath)
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
      ...(archive === undefined ? compiledBy(context) : archiveOptions(archive)),
      ...urlOf(context),
    },
  })
  addServerlessSettings({ id, name, node, service })
  addServerlessEvents({ name, node, service })
}

/** What a plugin, or the framework itself, compiles with. */
function compiledBy({ service }: Context): { readonly esbuild?: BuildSettings } {
  const { source } = service
  const value = settledValue(service, at(source, 'custom', 'esbuild') ?? at(source, 'build', 'esbuild'))
  return typeof value === 'object' && value !== null ? { esbuild: buildSettings(mapOf(value)) } : {}
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
  const value = mapOf(settledValue(service, node))
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== null)
      .map(([name, one]) => [name, asText(one)]),
  )
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
  const parts = withoutNone({ cors, invokeMode: textOrNone(url['invokeMode']) })
  return Object.keys(parts).length === 0 ? {} : { url: parts }
}
