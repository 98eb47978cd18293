import { readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

import type { AbsolutePath } from '../../../core/place.ts'
import { corsOf, mapOf, numberOrNone, textOrNone } from './api-settings.ts'
import { completed } from './additions.ts'
import { archiveOptions } from './archive.ts'
import { checkHandler, checkRuntime, noFindings, type Findings } from './findings.ts'
import { ordered } from './routes.ts'
import { withoutNone } from './source-values.ts'
import { first, nameOf, warnOfPlan, type PlanContext } from './terraform-context.ts'
import { addPlannedEvents } from './terraform-events.ts'
import { addPlannedRoute } from './terraform-routes.ts'
import { openPlan, type Plan, type PlannedResource } from './terraform-plan.ts'
import type { Value, ValueMap } from './value.ts'
import { nodeOf } from './yaml-file.ts'

/** Reads a plan as `terraform show -json` prints it. Undefined when the file is something else. */
export async function readPlan(file: AbsolutePath): Promise<Findings | undefined> {
  const text = await readFile(file, 'utf8')
  const plan = text.includes('"planned_values"') ? openPlan(text) : undefined
  if (plan === undefined) return undefined
  const findings = noFindings()
  findings.files.push(file)
  const node = nodeOf('', { place: { file, line: 1, column: 1 }, line: '' })
  const context: PlanContext = { plan, findings, file, node }
  for (const resource of plan.resources('aws_lambda_function')) await addFunction(context, resource)
  for (const resource of plan.resources('aws_apigatewayv2_route')) addPlannedRoute(context, resource)
  addPlannedEvents(context)
  const [method] = plan.resources('aws_api_gateway_method')
  if (method !== undefined) warnOfPlan(context, 'routes of REST APIs are not read from a plan')
  return completed({ ...findings, routes: ordered(findings.routes) })
}

async function addFunction(context: PlanContext, resource: PlannedResource): Promise<void> {
  const { findings, node, plan } = context
  const { values, address } = resource
  const runtime = checkRuntime(textOrNone(values['runtime']), node, findings)
  if (runtime === undefined) return
  const code = await codeOf(context, resource)
  if (code === undefined) {
    const hint = 'Make the archive by an archive_file with source_dir, so that its folder is known.'
    warnOfPlan(context, `${address}: no folder of yours holds its code; the function is left out`, hint)
    return
  }
  const handler = textOrNone(values['handler']) ?? 'bootstrap'
  const { directory, archive } = code
  const fault =
    archive === undefined ? checkHandler({ handler, runtime: runtime.runtime, directory }, node) : undefined
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
      ...withoutNone(runtime),
      ...(archive === undefined ? {} : archiveOptions(archive)),
      ...urlOf(plan, resource),
    },
  })
}

interface PlannedCode {
  readonly directory: AbsolutePath
  readonly archive: AbsolutePath | undefined
}

async function codeOf(context: PlanContext, resource: PlannedResource): Promise<PlannedCode | undefined> {
  const directory = await codeFolder(context, resource)
  if (directory !== undefined) return { directory, archive: undefined }
  const archive = await builtArchive(context, resource)
  return archive === undefined ? undefined : { directory: dirname(archive) as AbsolutePath, archive }
}

/** A plan names archives; the `archive_file` that makes one knows its folder. */
async function codeFolder(
  { plan, file }: PlanContext,
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

/** A zip file that is there already. */
async function builtArchive(
  { file, findings }: PlanContext,
  { values }: PlannedResource,
): Promise<AbsolutePath | undefined> {
  const path = textOrNone(values['filename'])
  const archive = path === undefined ? undefined : (resolve(dirname(file), path) as AbsolutePath)
  const stats = archive === undefined ? undefined : await stat(archive).catch(() => undefined)
  if (archive === undefined || stats?.isFile() !== true) return undefined
  findings.files.push(archive)
  return archive
}

function variablesOf(
  context: PlanContext,
  { values, address, unknown }: PlannedResource,
): Record<string, string> {
  const variables = (block: Value | undefined): ValueMap => mapOf(mapOf(first(block))['variables'])
  const missing = Object.keys(variables(unknown['environment']))
  for (const name of missing)
    warnOfPlan(
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

function urlOf(plan: Plan, resource: PlannedResource): { readonly url?: Readonly<Record<string, unknown>> } {
  const url = [...plan.resources('aws_lambda_function_url')].find(
    (one) =>
      plan.referenced(one, 'function_name', 'aws_lambda_function') === resource ||
      (one.values['function_name'] !== undefined &&
        one.values['function_name'] === resource.values['function_name']),
  )
  const cors = corsOf(first(url?.values['cors']), {})
  const invokeMode = textOrNone(url?.values['invoke_mode'])
  const parts = withoutNone({ cors, invokeMode: invokeMode === 'BUFFERED' ? undefined : invokeMode })
  return Object.keys(parts).length === 0 ? {} : { url: parts }
}
