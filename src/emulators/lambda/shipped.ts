import type { FunctionConfig, FunctionSource, PackagedFile, PackageOptions } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { splitHandler } from './handler-file.ts'
import { settingsOf } from './service/function-settings.ts'

/** Options that only say where code comes from, or what the service around a function does. */
const NOT_SHIPPED: ReadonlySet<string> = new Set([
  'entry', 'inlineCode', 'archive', 'archiveStamp', 'esbuild', 'layers', 'sources', 'deadLetter', 'onSuccess', 'onFailure', 'alias',
  'maximumEventAge',
]) // prettier-ignore

/** Has a source ship what its function needs besides its code, and say how that is opened again. */
export function withShipping(
  source: FunctionSource,
  config: FunctionConfig,
  { runsOnNode, taskRoot }: { readonly runsOnNode: boolean; readonly taskRoot: AbsolutePath },
): FunctionSource {
  const packageCode = source.package.bind(source)
  let layers: readonly string[] = []
  return Object.assign(source, {
    async package(directory: AbsolutePath, options: PackageOptions = {}): Promise<readonly PackagedFile[]> {
      const files = await packageCode(directory, options)
      if (options.complete !== true) return files
      const { shipAlong } = await import('./ship-along.ts')
      const along = await shipAlong(config, { directory, runsOnNode, taskRoot, files })
      layers = along.layers
      return [...files, ...along.files]
    },
    shipped(): Readonly<Record<string, unknown>> {
      const kept = Object.entries(config.options).filter(([name]) => !NOT_SHIPPED.has(name))
      const handler = runsOnNode ? { handler: shippedHandler(config) } : {}
      const opt = layers.length === 0 ? {} : { layers }
      return {
        ...Object.fromEntries(kept),
        ...handler,
        ...opt,
        ...shippedSchedules(config),
        ...(runsOnNode ? { built: true } : {}),
      }
    },
  })
}

/** Of all sources only time goes along: the others belong to services that are not there. */
function shippedSchedules(config: FunctionConfig): Readonly<Record<string, unknown>> {
  const sources = (settingsOf(config).sources ?? []).filter(({ type }) => type === 'schedule')
  return sources.length === 0 ? {} : { sources }
}

/** `src/app.ts` names a file that is not shipped: what is made of it is `src/app.handler`. */
function shippedHandler({ options }: FunctionConfig): string {
  const { handler } = options
  if (typeof handler !== 'string') return ''
  const named = /\.(?:[cm]?[jt]s|[jt]sx)$/.test(handler)
  return named ? `${splitHandler(handler, false).module}.handler` : handler
}
