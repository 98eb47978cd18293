import type { FunctionConfig } from '../../../core/function.ts'
import type { AbsolutePath, Fault, Place } from '../../../core/place.ts'
import type { RouteRule } from '../../../core/route.ts'
import type { WebSocketOptions } from '../front-ends/route-options.ts'
import { filesNear, findHandlerFile } from '../handler-file.ts'
import { RUNTIME_RUNS, RUNTIMES_IN_WORDS } from '../runtime-names.ts'
import type { Resource } from '../service/resource.ts'
import type { Addition } from './additions.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

/** What one file of a provider's tool yields. */
export interface Findings {
  readonly functions: FunctionConfig[]
  readonly routes: RouteRule[]
  readonly files: AbsolutePath[]
  readonly faults: Fault[]
  /** Sources and settings of functions, wherever the file says them. */
  readonly additions: Addition[]
  readonly resources: Resource[]
  readonly webSockets: WebSocketApi[]
}

export interface WebSocketApi {
  readonly origin: Place
  readonly options: Omit<WebSocketOptions, 'frontEnd'>
}

export function noFindings(): Findings {
  return { functions: [], routes: [], files: [], faults: [], additions: [], resources: [], webSockets: [] }
}

/** The same, with functions that are told the region that a file deploys them to. */
export function inRegion(findings: Findings, region: string): Findings {
  const functions = findings.functions.map((config) => ({
    ...config,
    options: { ...config.options, region },
  }))
  return { ...findings, functions }
}

/** Takes over what another file yields. */
export function merge(findings: Findings, inner: Findings): void {
  findings.functions.push(...inner.functions)
  findings.routes.push(...inner.routes)
  findings.files.push(...inner.files)
  findings.faults.push(...inner.faults)
  findings.additions.push(...inner.additions)
  findings.resources.push(...inner.resources)
  findings.webSockets.push(...inner.webSockets)
}

export function isServed({ functions }: Findings, name: string | undefined): name is string {
  return name !== undefined && functions.some((one) => one.name === name)
}

/** What could not be brought into effect; the rest is served. */
export function warn(findings: Findings, node: YamlNode, message: string, hint?: string): void {
  sayOnce(findings, faultAt(node, message, { severity: 'warning', ...(hint === undefined ? {} : { hint }) }))
}

/** The same thing is said once, however many functions it concerns. */
export function sayOnce(findings: Findings, fault: Fault): void {
  const { line, column } = fault.place
  const said = findings.faults.some(
    ({ place, message }) => place.line === line && place.column === column && message === fault.message,
  )
  if (!said) findings.faults.push(fault)
}

/** A function's name is also a host label: what no label may have becomes a dash. */
export function functionName(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]/g, '-')
}

/** A runtime that runs here, or none; otherwise undefined and a warning. */
export function checkRuntime(
  runtime: string | undefined,
  node: YamlNode,
  findings: Findings,
): { readonly runtime: string | undefined } | undefined {
  if (runtime === undefined || RUNTIME_RUNS.test(runtime)) return { runtime }
  findings.faults.push(
    faultAt(node, `functions of the runtime ${runtime} do not run here; it is left out`, {
      severity: 'warning',
      hint: `Use ${RUNTIMES_IN_WORDS}.`,
    }),
  )
  return undefined
}

/** Does the handler lead to a file? A warning says what there is instead: a build may make it yet, and the function fails alone. */
export function checkHandler(
  {
    handler,
    runtime,
    directory,
  }: { readonly handler: string; readonly runtime: string | undefined; readonly directory: string },
  node: YamlNode,
): Fault | undefined {
  if (runtime !== undefined && !/^(nodejs|python)/.test(runtime)) return undefined
  const python = runtime?.startsWith('python') === true
  const found =
    findHandlerFile(handler, directory, python) ??
    (runtime === undefined ? findHandlerFile(handler, directory, true) : undefined)
  if (found !== undefined) return undefined
  const near = filesNear(handler, directory)
  const hint =
    near.length === 0 ? `There is no code in that folder.` : `There is: ${near.slice(0, 8).join(', ')}.`
  return faultAt(node, `no file for the handler "${handler}" in ${directory}`, { severity: 'warning', hint })
}

/** Warns of what is there and is not emulated. @param messages what to say, by key. */
export function warnOfKeys(
  find: (key: string) => YamlNode | undefined,
  messages: Readonly<Record<string, string>>,
  findings: Findings,
): void {
  for (const [key, message] of Object.entries(messages)) {
    const node = find(key)
    if (node !== undefined && node.kind !== 'null')
      findings.faults.push(faultAt(node, `${key}: ${message}`, { severity: 'warning' }))
  }
}

/** What to invoke a function with by hand, where nothing delivers its events. */
export const SAM_SAMPLES: Readonly<Record<string, string>> = {
  CloudWatchLogs: 'aws:logs',
  Cognito: 'aws:cognito',
  MSK: 'aws:msk',
  SelfManagedKafka: 'aws:kafka',
  MQ: 'aws:mq',
  DocumentDB: 'aws:documentdb',
  IoTRule: 'aws:iot',
}
