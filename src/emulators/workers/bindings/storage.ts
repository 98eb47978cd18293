import type { Config } from '../configuration.ts'
import { atConfig, blobPath, defined, keyed, type BindingInputs, type Mapped } from './inputs.ts'

/** Stored data. Identifiers fall back to the binding's name, as they do in wrangler before anything is deployed. */
export function storage({ config }: BindingInputs): Mapped {
  return {
    options: {
      kvNamespaces: keyed(
        config.kv_namespaces,
        ({ id, preview_id, binding }) => text(preview_id ?? id) ?? binding,
      ),
      r2Buckets: keyed(
        config.r2_buckets,
        ({ bucket_name, preview_bucket_name, binding }) =>
          text(preview_bucket_name ?? bucket_name) ?? binding,
      ),
      d1Databases: keyed(
        config.d1_databases,
        ({ database_id, preview_database_id, binding }) =>
          text(preview_database_id ?? database_id) ?? binding,
      ),
      analyticsEngineDatasets: keyed(config.analytics_engine_datasets, ({ dataset, binding }) => ({
        dataset: dataset ?? binding,
      })),
      helloWorld: keyed(config.unsafe_hello_world, ({ enable_timer }) => ({ enable_timer })),
    },
  }
}

/** An id may be a symbol, which stands for "what is deployed". */
function text(id: unknown): string | undefined {
  return typeof id === 'string' ? id : undefined
}

/** `wasm_modules`, `text_blobs` and `data_blobs` of service workers, and the folder of Workers Sites. */
export function files({ config }: BindingInputs): Mapped {
  const absolute = (paths: Readonly<Record<string, string>> | undefined): Record<string, string> =>
    Object.fromEntries(Object.entries(paths ?? {}).map(([name, path]) => [name, blobPath(path)]))
  return {
    options: {
      wasmBindings: absolute(config.wasm_modules),
      textBlobBindings: absolute(config.text_blobs),
      dataBlobBindings: absolute(config.data_blobs),
      ...site(config),
    },
  }
}

function site(config: Config): NonNullable<Mapped['options']> {
  if (config.site?.bucket === undefined) return {}
  const { bucket, include = [], exclude = [] } = config.site
  return defined({
    sitePath: atConfig(config, bucket),
    siteInclude: include.length === 0 ? undefined : include,
    siteExclude: exclude.length === 0 ? undefined : exclude,
  })
}
