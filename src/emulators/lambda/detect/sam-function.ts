import { statSync } from 'node:fs'
import { basename, dirname, extname, resolve } from 'node:path'

import type { AbsolutePath } from '../../../core/place.ts'
import type { BuildSettings } from '../service/build-settings.ts'
import { findHandlerFile } from '../handler-file.ts'
import { archiveOptions } from './archive.ts'
import { mapOf } from './api-settings.ts'
import { buildSettings } from './build-settings.ts'
import { checkHandler, checkRuntime, type Findings } from './findings.ts'
import { settled, textOf, valueOf } from './intrinsics.ts'
import { functionMeant, nameIn } from './references.ts'
import { samCors } from './sam-api.ts'
import { addFunctionSettings } from './sam-settings.ts'
import { withoutNone } from './source-values.ts'
import { resourcesOf, type Template } from './template.ts'
import type { Value } from './value.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

interface Context {
  readonly id: string
  readonly resource: YamlNode
  /** The resource's own, with what `Globals` says. */
  readonly properties: YamlNode | undefined
  readonly template: Template
  readonly findings: Findings
  readonly file: AbsolutePath
}

/** Adds a function of a template; false when it cannot be run here, which is then said. */
export function addFunction(context: Context): boolean {
  const { id, resource, template, findings } = context
  const runtimeNode = property(context, 'Runtime')
  const checked = checkRuntime(textOf(runtimeNode, template), runtimeNode ?? resource, findings)
  const code = checked === undefined ? undefined : codeOf(context)
  if (checked === undefined || code === undefined) return false
  const handler = handlerOf(context, { ...checked, ...code })
  if (handler === undefined) return false
  const name = nameIn(template, id)
  addFunctionSettings({ ...context, function: name }, (key) => property(context, key))
  warnOfSignatures(context)
  findings.functions.push({
    name,
    provider: 'lambda',
    directory: code.directory,
    origin: (property(context, 'Handler') ?? resource).place,
    environment: variablesOf(context),
    timeoutMs: milliseconds(textOf(property(context, 'Timeout'), template)),
    memoryMb: numberOf(textOf(property(context, 'MemorySize'), template)),
    options: {
      ...handler,
      ...(checked.runtime === undefined ? {} : { runtime: checked.runtime }),
      ...(code.inline === undefined ? {} : { inlineCode: code.inline }),
      ...(code.archive === undefined ? {} : archiveOptions(code.archive)),
      ...compiledBy(context),
      ...urlOf(context),
    },
  })
  return true
}

function property({ properties, template }: Context, name: string): YamlNode | undefined {
  return settled(properties?.get(name), template)
}

interface Code {
  readonly directory: AbsolutePath
  readonly inline?: string | undefined
  /** A zip file. */
  readonly archive?: string | undefined
}

/** What is run: a handler whose file is there, or the bootstrap of a custom runtime. */
function handlerOf(
  context: Context,
  { runtime, directory, inline, archive }: Code & { readonly runtime: string | undefined },
): { readonly handler: string; readonly entry?: string } | undefined {
  const { id, resource, template, findings } = context
  const node = property(context, 'Handler')
  const handler = textOf(node, template)
  if (node === undefined || handler === undefined) {
    if (runtime?.startsWith('provided') === true) return { handler: 'bootstrap' }
    findings.faults.push(faultAt(resource, `${id} has no Handler`, { hint: 'Add Handler: app.handler.' }))
    return undefined
  }
  const entry = esbuildEntry(context, handler, directory)
  if (entry !== undefined) return { handler, entry }
  const isThere = inline !== undefined || archive !== undefined
  const fault = isThere ? undefined : checkHandler({ handler, runtime, directory }, node)
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

/** A folder, or text of the template; a place in the cloud, an image and an archive are neither. */
function codeOf(context: Context): Code | undefined {
  const { template, file, resource } = context
  const code = property(context, 'CodeUri') ?? property(context, 'Code')
  const inline = property(context, 'InlineCode') ?? code?.get('ZipFile')
  if (inline !== undefined)
    return { directory: dirname(file) as AbsolutePath, inline: template.text(inline) ?? '' }
  const image = imageOf(context)
  if (image !== undefined) return noCode(context, image, 'container images are not run here')
  const asset = template.text(resource.at('Metadata', 'aws:asset:path'))
  return codeAt(context, code ?? resource, asset ?? (code === undefined ? '.' : valueOf(code, template)))
}

function codeAt(context: Context, node: YamlNode, value: Value | undefined): Code | undefined {
  if (typeof value !== 'string' || /^(s3|https?):\/\//.test(value))
    return noCode(context, node, 'this code is in no folder of yours')
  const directory = resolve(dirname(context.file), value)
  if (statSync(directory, { throwIfNoEntry: false })?.isFile() !== true)
    return { directory: directory as AbsolutePath }
  if (!/\.(zip|jar|war)$/i.test(directory)) {
    // A file of code is what the package holds, whatever folder it lies in.
    return { directory: dirname(directory) as AbsolutePath }
  }
  context.findings.files.push(directory as AbsolutePath)
  return { directory: dirname(directory) as AbsolutePath, archive: directory }
}

function noCode({ findings }: Context, node: YamlNode, why: string): undefined {
  findings.faults.push(
    faultAt(node, `${why}; the function is left out`, {
      severity: 'warning',
      hint: 'Set CodeUri to a folder.',
    }),
  )
  return undefined
}

function imageOf(context: Context): YamlNode | undefined {
  const type = property(context, 'PackageType')
  const uri = property(context, 'ImageUri') ?? property(context, 'Code')?.get('ImageUri')
  return uri ?? (textOf(type, context.template) === 'Image' ? type : undefined)
}

/** The source that `sam build` would compile the handler from. */
function esbuildEntry(
  { resource, template }: Context,
  handler: string,
  directory: string,
): string | undefined {
  if (resource.at('Metadata', 'BuildMethod')?.value !== 'esbuild') return undefined
  const stem = basename(handler).split('.')[0]
  const entries = resource.at('Metadata', 'BuildProperties', 'EntryPoints')?.items() ?? []
  const paths = entries.map((entry) => textOf(entry, template) ?? '')
  const found = paths.find((path) => basename(path, extname(path)) === stem) ?? paths[0]
  return found !== undefined && findHandlerFile(found, directory) !== undefined ? found : undefined
}

function compiledBy({ resource, template }: Context): { readonly esbuild?: BuildSettings } {
  if (resource.at('Metadata', 'BuildMethod')?.value !== 'esbuild') return {}
  const properties = resource.at('Metadata', 'BuildProperties')
  return {
    esbuild: buildSettings(mapOf(properties === undefined ? undefined : valueOf(properties, template))),
  }
}

function variablesOf(context: Context): Record<string, string> {
  const { template } = context
  const node = settled(property(context, 'Environment')?.get('Variables'), template)
  const pairs = (node?.entries() ?? []).map(([name, one]) => [name, settled(one, template)] as const)
  return Object.fromEntries(
    pairs.filter(([, one]) => one !== undefined).map(([name, one]) => [name, textOf(one, template) ?? '']),
  )
}

/** The function's own address: what `FunctionUrlConfig`, or a resource of its own, says of it. */
function urlOf({ id, properties, template }: Context): { readonly url?: Readonly<Record<string, unknown>> } {
  const own = urlResource(nameIn(template, id), template)
  const node = settled(properties?.get('FunctionUrlConfig'), template) ?? own?.get('Properties')
  const url = withoutNone({
    cors: samCors(settled(node?.get('Cors'), template), template),
    invokeMode: textOf(node?.get('InvokeMode'), template),
  })
  return Object.keys(url).length === 0 ? {} : { url }
}

function urlResource(name: string, template: Template): YamlNode | undefined {
  return resourcesOf(template.root).find(
    ([, one]) =>
      one.get('Type')?.value === 'AWS::Lambda::Url' &&
      functionMeant(textOf(one.at('Properties', 'TargetFunctionArn'), template), template) === name,
  )?.[1]
}

function warnOfSignatures(context: Context): void {
  const { findings, template } = context
  const authType = property(context, 'FunctionUrlConfig')?.get('AuthType')
  if (textOf(authType, template) === 'AWS_IAM' && authType !== undefined) {
    const message = 'signatures are not checked: this function URL answers everyone'
    findings.faults.push(faultAt(authType, message, { severity: 'warning' }))
  }
}
