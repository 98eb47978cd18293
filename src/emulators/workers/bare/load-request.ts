import type { LoadModule, LoadRequest } from '../control/loader-source.ts'
import type { MiniflareWorker } from '../miniflare.ts'
import { bareModules, textOf, type BareModule } from './bare-modules.ts'

/** A worker as the control worker of a bare runtime loads it. */
export function loadRequest(worker: MiniflareWorker): LoadRequest {
  const { compatibilityDate = '', compatibilityFlags = [], bindings = {} } = worker
  // The entry stays first: it is the main module.
  const modules = bareModules(worker).map(loadModule)
  return { compatibilityDate, compatibilityFlags, modules, env: bindings }
}

const KINDS = {
  ESModule: 'js',
  CommonJS: 'cjs',
  Text: 'text',
  Data: 'data',
  CompiledWasm: 'wasm',
} as const satisfies Record<BareModule['type'], LoadModule['kind']>

function loadModule({ type, name, contents }: BareModule): LoadModule {
  const kind = KINDS[type]
  const isBinary = kind === 'data' || kind === 'wasm'
  return { name, kind, contents: isBinary ? Buffer.from(contents).toString('base64') : textOf(contents) }
}
