import { readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

import type { AbsolutePath } from '../../../core/place.ts'
import { corsOf, mapOf, numberOrNone, textOrNone } from './api-settings.ts'
import { checkHandler, checkRuntime, functionName, noFindings, type Findings } from './findings.ts'
import { addApiRoute, apiRoute, formatOf, ordered, splitRouteKey } from './routes.ts'
import { openPlan, type Plan, type PlannedResource } from './terraform-plan.ts'
import type { Value, ValueMap } from './value.ts'
import { faultAt, nodeOf, type YamlNode } from './yaml-file.ts'

interface Context {
  readonly plan: Plan
  readonly findings: Findings
  readonly file: AbsolutePath
  /** The start of the file: a plan is one line, so messages name addresses. */
  readonly node: YamlNode
}

/** Reads a plan as `terraform show -json` prints it. Undefined when the file is something else. */
export async function readPlan(file: AbsolutePath): Promise<Findings | undefined> {
  const text = await readFile(file, 'utf8')
  const plan = text.includes('"planned_values"') ? openPlan(text) : undefined
  if (plan === undefined) return undefined
  const findings = noFindings()
  findings.files.push(file)
  const node = nodeOf('', { place: { file, line: 1, column: 1 }, line: '' })
  const context: Context = { plan, findings, file, node }
  for (const resource of plan.resources('aws_lambda_function')) await addFunction(context, resource)
  for (const resource of plan.resources('aws_apigatewayv2_route')) addRoute(context, resource)
  const [method] = plan.resources('aws_api_gateway_method')
  if (method !== undefined) warn(context, 'routes of REST APIs are not read from a plan')
  return { ...findings, routes: ordered(findings.routes) }
}

function warn({ findings, node }: Context, message: string, hint?: string): void {
  findings.faults.push(
    faultAt(node, message, { severity: 'warning', ...(hint === undefined ? {} : { hint }) }),
  )
}

/** What the address of a resource ends in: `module.a.aws_lambda_function.hello["x"]` → `hello-x`, unless it has a name. */
function nameOf({ name, address, values }: PlannedResource): string {
  const index = /\[(.+)\]$/.exec(address)?.[1]?.replaceAll('"', '')
  const said = textOrNone(values['function_name'])
  return functionName(said ?? (index === undefined ? name : `${name}-${index}`))
}

async function addFunction(context: Context, resource: PlannedResource): Promise<void> {
  const { findings, node, plan } = context
  const { values, address } = resource
  const runtime = checkRuntime(textOrNone(values['runtime']), node, findings)
  if (runtime === undefined) return
  const directory = await codeFolder(context, resource)
  if (directory === undefined) {
    const hint = 'Make the archive by an archive_file with source_dir, so that its folder is known.'
    warn(context, `${address}: no folder of yours holds its code; the function is left out`, hint)
    return
  }
  const handler = textOrNone(values['handler']) ?? 'bootstrap'
  const fault = checkHandler({ handler, runtime: runtime.runtime, directory }, node)
  if (fault !== undefined) findings.faults.push({ ...fault, message: `${address}: ${fault.message}` })
  const timeout = numberOrNone(values['timeout'])
  findings.functions.push({
    name: nameOf(resource),
    provider: 'lambda',
    directory,
    origin: node.place,
    environment: variablesOf(context, resource),
    timeoutMs: timeout === undefined ? undefined : timeout * 1000,
    memoryMb: numberOrNone(values['memory_size']),
    options: {
      handler,
      ...(runtime.runtime === undefined ? {} : { runtime: runtime.runtime }),
      ...urlOf(plan, resource),
    },
  })
}

/** A plan names archives; the `archive_file` that makes one knows its folder. */
async function codeFolder(
  { plan, file }: Context,
  resource: PlannedResource,
): Promise<AbsolutePath | undefined> {
  const archive = textOrNone(resource.values['filename'])
  const reference = plan.referenced(resource, 'filename', 'archive_file')
  const archives = [...plan.resources('archive_file')]
  const made =
    archives.find(({ values }) => values['output_path'] === archive && archive !== undefined) ?? reference
  const source = textOrNone(made?.values['source_dir'])
  const sourceFile = textOrNone(made?.values['source_file'])
  const path = source ?? (sourceFile === undefined ? archive?.replace(/\.zip$/, '') : dirname(sourceFile))
  if (path === undefined) return undefined
  const folder = resolve(dirname(file), path) as AbsolutePath
  const stats = await stat(folder).catch(() => undefined)
  return stats?.isDirectory() === true ? folder : undefined
}

function variablesOf(
  context: Context,
  { values, address, unknown }: PlannedResource,
): Record<string, string> {
  const variables = (block: Value | undefined): ValueMap => mapOf(mapOf(first(block))['variables'])
  const missing = Object.keys(variables(unknown['environment']))
  for (const name of missing)
    warn(
      context,
      `${address}: ${name} is known after apply; it is empty`,
      'Set the variable in flexi.jsonc or in an env file.',
    )
  return Object.fromEntries([
    ...Object.entries(variables(values['environment'])).map(([name, value]) => [
      name,
      textOrNone(value) ?? '',
    ]),
    ...missing.map((name) => [name, '']),
  ]) as Record<string, string>
}

/** Blocks are lists in a plan. */
function first(block: Value | undefined): Value | undefined {
  return Array.isArray(block) ? (block[0] as Value | undefined) : block
}

function urlOf(plan: Plan, resource: PlannedResource): { readonly url?: Readonly<Record<string, unknown>> } {
  const url = [...plan.resources('aws_lambda_function_url')].find(
    (one) =>
      plan.referenced(one, 'function_name', 'aws_lambda_function') === resource ||
      (one.values['function_name'] !== undefined &&
        one.values['function_name'] === resource.values['function_name']),
  )
  const cors = corsOf(first(url?.values['cors']), {})
  return cors === undefined ? {} : { url: { cors } }
}

function addRoute(context: Context, route: PlannedResource): void {
  const { plan, findings, node } = context
  const routeKey = textOrNone(route.values['route_key']) ?? ''
  const integration = plan.referenced(route, 'target', 'aws_apigatewayv2_integration')
  const target = plan.referenced(integration, 'integration_uri', 'aws_lambda_function')
  const name = target === undefined ? undefined : nameOf(target)
  if (name === undefined || !findings.functions.some((one) => one.name === name)) {
    warn(context, `${route.address}: ${routeKey} leads to no function that runs here`)
    return
  }
  const api = plan.referenced(route, 'api_id', 'aws_apigatewayv2_api')
  const cors = corsOf(first(api?.values['cors_configuration']), {})
  const rule = apiRoute({
    functionName: name,
    frontEnd: 'http-api',
    ...splitRouteKey(routeKey),
    origin: node.place,
    options: {
      apiId: api?.name,
      stage: '$default',
      payloadFormat: formatOf(textOrNone(integration?.values['payload_format_version'])),
      ...(cors === undefined ? {} : { cors }),
    },
  })
  addApiRoute(findings.routes, rule)
}
