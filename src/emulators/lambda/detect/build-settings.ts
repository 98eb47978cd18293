import type { BuildSettings } from '../service/build-settings.ts'
import { listOrNone, mapOf, textOrNone } from './api-settings.ts'
import { isTrue, withoutNone } from './source-values.ts'
import { asText, type Value, type ValueMap } from './value.ts'

/** What an esbuild block says that changes what runs: `Metadata.BuildProperties` of SAM, `custom.esbuild` of plugins. */
export function buildSettings(said: ValueMap): BuildSettings {
  const settings = new Map(Object.entries(said).map(([name, value]) => [name.toLowerCase(), value]))
  const texts = (name: string): Readonly<Record<string, string>> | undefined => pairsOf(settings.get(name))
  const list = (name: string): string[] | undefined => listOrNone(settings.get(name))
  const flag = (name: string): true | undefined => (isTrue(settings.get(name)) ? true : undefined)
  const format = textOrNone(settings.get('format'))
  return withoutNone<BuildSettings>({
    loader: texts('loader'),
    define: texts('define'),
    alias: texts('alias'),
    external: list('external'),
    inject: list('inject'),
    mainFields: list('mainfields')?.flatMap((one) => one.split(',')),
    conditions: list('conditions'),
    target: list('target'),
    banner: codeOf(settings.get('banner')),
    footer: codeOf(settings.get('footer')),
    format: format === 'esm' || format === 'cjs' ? format : undefined,
    minify: flag('minify'),
    keepNames: flag('keepnames'),
  })
}

/** `[".sql=text"]` as a command line has it, or `{ ".sql": "text" }`. */
function pairsOf(value: Value | undefined): Readonly<Record<string, string>> | undefined {
  if (value === undefined || value === null) return undefined
  if (Array.isArray(value))
    return Object.fromEntries(
      (value as readonly Value[]).map((one) => {
        const [name = '', ...rest] = asText(one).split('=')
        return [name, rest.join('=')]
      }),
    )
  return Object.fromEntries(Object.entries(mapOf(value)).map(([name, one]) => [name, asText(one)]))
}

/** `{ js: "…" }`, `["js=…"]`, or the text alone. */
function codeOf(value: Value | undefined): string | undefined {
  return typeof value === 'string' ? value.replace(/^js=/, '') : pairsOf(value)?.['js']
}
