import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { errorMessage, FlexiError } from '../../../core/errors.ts'
import type { Plugin, Service, ServiceBinding } from './plugin.ts'

/** What a runtime knows of one worker's assets, and may be told anew while it runs. */
interface Listing {
  readonly directory: string
  /** The runtime's own, where it looks up what is new. */
  readonly folder: string
  /** Of the folder when it was last listed; undefined before the first refresh. */
  stamp: string | undefined
  /** Lists the folder again. Rejects when it cannot be served, or when the runtime has ended. */
  list(): Promise<void>
  /** False once the runtime's own folder is gone. */
  alive: boolean
}

const listings = new Set<Listing>()

/**
 * Tells every runtime that serves this folder what is in it now: assets, `_headers`, `_redirects` and `.assetsignore`. Nothing is
 * started anew; the next request sees it. `stamp` changes with the folder.
 * @throws FlexiError FLEXI_CONFIG when a file is too large, or there are too many.
 */
export async function refreshAssets(directory: string, stamp: string): Promise<void> {
  const stale = [...listings].filter((listing) => listing.directory === directory && listing.stamp !== stamp)
  for (const listing of stale) {
    await refresh(listing)
    listing.stamp = stamp
    if (!listing.alive) listings.delete(listing)
  }
}

async function refresh(listing: Listing): Promise<void> {
  try {
    await listing.list()
  } catch (cause) {
    throw new FlexiError('FLEXI_CONFIG', errorMessage(cause), {
      hint: 'Take the file out of the assets folder, or name it in .assetsignore.',
      cause,
    })
  }
}

/** Lets the services of miniflare's assets look up what they know in files of the runtime, in place of constants. */
export function liveAssets(plugin: Plugin): void {
  const { getServices } = plugin
  plugin.getServices = async (args) => {
    const services = ((await getServices.call(plugin, args)) ?? []) as Service[]
    const directory = args.options.assets?.directory
    if (directory === undefined) return services
    const folder = join(args.tmpPath, `live-assets-${args.workerIndex}`)
    await mkdir(folder, { recursive: true })
    await forgetEnded(directory)
    listings.add(listingOf(directory, { folder, list: () => getServices.call(plugin, args) }))
    const live = `assets:live:${args.workerIndex}`
    return [
      ...services.map((service) => withLookup(service, live)),
      { name: live, disk: { path: folder, writable: false } },
    ]
  }
}

/** Runtimes take their folders along when they end, and nobody else says that they have. */
async function forgetEnded(directory: string): Promise<void> {
  for (const listing of [...listings].filter((known) => known.directory === directory)) {
    const alive = await access(listing.folder).then(
      () => true,
      () => false,
    )
    if (!alive) listings.delete(listing)
  }
}

function listingOf(
  directory: string,
  { folder, list }: { readonly folder: string; readonly list: () => unknown },
): Listing {
  let version = 0
  const listing: Listing = {
    directory,
    folder,
    stamp: undefined,
    alive: true,
    async list() {
      const known = knownOf(((await list()) ?? []) as Service[])
      const before = version
      version += 1
      try {
        await writeFile(join(folder, `${version}.json`), JSON.stringify(known))
        await writeFile(join(folder, 'version'), String(version))
        if (before > 0) await rm(join(folder, `${before - 1}.json`), { force: true })
      } catch {
        // The runtime has ended and taken its folder along.
        listing.alive = false
      }
    },
  }
  return listing
}

/** What the services have as constants, by the names of their bindings. */
function knownOf(services: readonly Service[]): Readonly<Record<string, unknown>> {
  const bindingsOf = (service: string): readonly ServiceBinding[] =>
    services
      .filter(({ name }) => name.startsWith(service))
      .flatMap(({ worker }) => worker?.bindings ?? [])
      .map(quiet)
  const find = (service: string, name: string): ServiceBinding | undefined =>
    bindingsOf(service).find((binding) => binding.name === name)
  const manifest = find(ASSETS_SERVICE, 'ASSETS_MANIFEST')?.data ?? new Uint8Array()
  const json = (binding: ServiceBinding | undefined): unknown => JSON.parse(binding?.json ?? 'null')
  return {
    manifest: Buffer.from(manifest).toString('base64'),
    config: json(find(ASSETS_SERVICE, 'CONFIG')),
    files: json(find(FILES_SERVICE, 'ASSETS_REVERSE_MAP')),
  }
}

const ASSETS_SERVICE = 'assets:assets-service:'
const FILES_SERVICE = 'assets:kv:'

/** Without the response field that tells miniflare's own front what to log, which is not there to take it off. */
function quiet(binding: ServiceBinding): ServiceBinding {
  if (binding.name !== 'CONFIG' || binding.json === undefined) return binding
  return { ...binding, json: JSON.stringify({ ...(JSON.parse(binding.json) as object), debug: false }) }
}

function withLookup(service: Service, live: string): Service {
  const [main] = service.worker?.modules ?? []
  const program = main === undefined ? undefined : PROGRAMS[main.name]
  if (service.worker === undefined || program === undefined) return service
  const { modules = [], bindings = [] } = service.worker
  return {
    ...service,
    worker: {
      ...service.worker,
      modules: [{ name: 'flexi-live.mjs', esModule: program }, ...modules],
      bindings: [...bindings.map(quiet), { name: 'FLEXI_LIVE', service: { name: live } }],
    },
  }
}

// `env` is one object for all requests of an isolate: what is put there is what the wrapped program finds.
const LOOKUP = `
let version = ''
async function look({ FLEXI_LIVE: live }) {
  const found = await live.fetch('http://live/version')
  const now = found.ok ? await found.text() : ''
  if (now === version) return undefined
  const answer = await live.fetch('http://live/' + now + '.json')
  if (!answer.ok) return undefined
  version = now
  return answer.json()
}
`

/** A module of the same service, as code imports it. */
function beside(name: string): string {
  return JSON.stringify(`./${name}`)
}

/** By the first module of the service that is wrapped. */
const PROGRAMS: Readonly<Record<string, string>> = {
  'asset-worker.mjs': `
import Outer, { AssetWorkerInner as Inner } from ${beside('asset-worker.mjs')}
${LOOKUP}
async function refresh(env) {
  const known = await look(env)
  if (known === undefined) return
  env.ASSETS_MANIFEST = Uint8Array.from(atob(known.manifest), (sign) => sign.charCodeAt(0)).buffer
  env.CONFIG = known.config
}
export class AssetWorkerInner extends Inner {
  async fetch(request) {
    await refresh(this.env)
    return super.fetch(request)
  }
  async unstable_canFetch(request) {
    await refresh(this.env)
    return super.unstable_canFetch(request)
  }
  async unstable_getByPathname(pathname, request) {
    await refresh(this.env)
    return super.unstable_getByPathname(pathname, request)
  }
}
export default Outer
`,
  'assets-kv-worker.mjs': `
import files from ${beside('assets-kv-worker.mjs')}
${LOOKUP}
export default {
  async fetch(request, env) {
    if (env.ASSETS_REVERSE_MAP[new URL(request.url).pathname.slice(1)] === undefined) {
      const known = await look(env)
      if (known !== undefined) env.ASSETS_REVERSE_MAP = known.files
    }
    return files.fetch(request, env)
  },
}
`,
}
