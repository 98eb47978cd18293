import { basename } from 'node:path'

import type { AbsolutePath } from '../../../core/place.ts'
import { assetsDirectory, blobPath } from '../bindings.ts'
import type { Config } from '../configuration.ts'
import type { Settings } from '../settings.ts'

/** A file of the project that the shipped configuration names. */
export interface ShippedFile {
  /** In the folder that is shipped. */
  readonly path: string
  readonly source: AbsolutePath
}

export interface ShippedConfig {
  /** The content of its wrangler.json. */
  readonly document: Readonly<Record<string, unknown>>
  readonly files: readonly ShippedFile[]
}

/** What only a build, a terminal or Cloudflare itself needs, and what names a place of the project. */
const LEFT_OUT = [
  'account_id', 'alias', 'base_dir', 'build', 'cloudchamber', 'compliance_region', 'configPath', 'containers', 'define',
  'definedEnvironments', 'dependencies_instrumentation', 'dev', 'find_additional_modules', 'first_party_worker', 'jsx_factory',
  'jsx_fragment', 'keep_names', 'keep_vars', 'logpush', 'main', 'minify', 'no_bundle', 'observability', 'pages_build_output_dir',
  'placement', 'preserve_file_names', 'preview_urls', 'previews', 'python_modules', 'route', 'routes', 'rules', 'send_metrics',
  'targetEnvironment', 'topLevelName', 'tsconfig', 'upload_source_maps', 'userConfigPath', 'workers_dev',
] as const satisfies readonly (keyof Config)[] // prettier-ignore

const ASSETS_FOLDER = 'assets'
const BLOBS_FOLDER = 'blobs'
const BLOB_KEYS = ['wasm_modules', 'text_blobs', 'data_blobs'] as const satisfies readonly (keyof Config)[]

/**
 * A wrangler file of one environment with everything that `env` is made of: its bindings, assets, classes, crons and limits. Where it is
 * reached is not the file's to say any more, and of secrets it knows the names alone.
 */
export function shippedConfig(
  { config, compatibility }: Pick<Settings, 'config' | 'compatibility'>,
  main: string | undefined,
): ShippedConfig {
  const left: ReadonlySet<string> = new Set(LEFT_OUT)
  const kept = Object.entries(config).filter(([key]) => !left.has(key))
  const blobs = BLOB_KEYS.flatMap((key) =>
    Object.entries(config[key] ?? {}).map(([name, path]) => ({
      key,
      name,
      path: `${BLOBS_FOLDER}/${key}-${name}-${basename(path)}`,
      source: blobPath(path) as AbsolutePath,
    })),
  )
  const blobRecords = BLOB_KEYS.map((key) => [
    key,
    Object.fromEntries(blobs.filter((blob) => blob.key === key).map(({ name, path }) => [name, path])),
  ])
  const document = {
    ...Object.fromEntries(kept),
    // Without one it would mean another date on another day.
    compatibility_date: compatibility.date,
    ...(main === undefined ? {} : { main }),
    ...movedAssets(config),
    ...Object.fromEntries(blobRecords),
  }
  return {
    document: Object.fromEntries(
      Object.entries(document).filter(([key, value]) => key === 'vars' || !isEmpty(value)),
    ),
    files: blobs.map(({ path, source }) => ({ path, source })),
  }
}

/** `site["entry-point"]` named the program once. */
function movedAssets(config: Config): Readonly<Record<string, unknown>> {
  if (assetsDirectory(config) === undefined) return {}
  if (config.assets?.directory !== undefined)
    return { assets: { ...config.assets, directory: ASSETS_FOLDER } }
  const { 'entry-point': _entry, ...site } = config.site ?? {}
  return { site: { ...site, bucket: ASSETS_FOLDER } }
}

function isEmpty(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return value === undefined
  return Object.values(value).every(isEmpty)
}
