import type { Config } from '../configuration.ts'
import { atConfig, type BindingInputs, type Mapped } from './inputs.ts'

/** The folder whose files are listed when a runtime starts: static assets, or those of Workers Sites. Absolute. */
export function assetsDirectory(config: Config): string | undefined {
  const directory = config.assets?.directory ?? config.site?.bucket
  return directory === undefined ? undefined : atConfig(config, directory)
}

/** Static assets in front of the worker. */
export function assets({ config }: BindingInputs): Mapped {
  if (config.assets?.directory === undefined) return {}
  const { binding, html_handling, not_found_handling, run_worker_first } = config.assets
  const rules = Array.isArray(run_worker_first) ? run_worker_first : undefined
  const routing = rules === undefined ? {} : { static_routing: staticRouting(rules) }
  return {
    options: {
      assets: {
        directory: atConfig(config, config.assets.directory),
        ...(binding === undefined ? {} : { binding }),
        routerConfig: {
          has_user_worker: config.main !== undefined,
          invoke_user_worker_ahead_of_assets: run_worker_first === true && config.main !== undefined,
          ...routing,
        },
        // miniflare adds _redirects and _headers of the folder.
        assetConfig: { html_handling, not_found_handling },
      },
    },
    warnings: first(config),
  }
}

/** `["/api/*", "!/api/docs/*"]` → the worker's paths, and the ones that stay with the assets. */
function staticRouting(rules: readonly string[]): { user_worker: string[]; asset_worker?: string[] } {
  const kept = rules.filter((rule) => rule.startsWith('!')).map((rule) => rule.slice(1))
  const user_worker = rules.filter((rule) => !rule.startsWith('!'))
  return kept.length === 0 ? { user_worker } : { user_worker, asset_worker: kept }
}

function first({ assets: settings, main }: Config): readonly string[] {
  const wanted = settings?.run_worker_first
  if (wanted === undefined || wanted === false) return []
  if (main === undefined) return ['assets.run_worker_first has no effect: there is no program ("main")']
  if (Array.isArray(wanted))
    return wanted
      .filter((rule) => !/^!?\//.test(rule))
      .map((rule) => `the rule "${rule}" of assets.run_worker_first matches nothing: begin it with / or !/`)
  if (settings?.binding !== undefined) return []
  return [
    'assets.run_worker_first asks the worker first, which cannot reach the assets: name them with "assets.binding"',
  ]
}
