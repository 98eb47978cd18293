import { readFileSync } from 'node:fs'

import { errorMessage } from '../../../core/errors.ts'
import type { Config } from '../configuration.ts'
import type { NetworkService, WorkerService } from '../miniflare.ts'
import { atConfig, defined, keyed, type BindingInputs, type Mapped, type Unavailable } from './inputs.ts'

/** Services that are this worker itself, and what miniflare has a simple local form of. */
export function ownServices({ config, isShipped = false }: BindingInputs): Mapped {
  const own = (config.services ?? []).filter(({ service }) => service === config.name)
  return {
    options: {
      serviceBindings: keyed(own, serviceOf),
      ratelimits: Object.fromEntries([
        ...config.ratelimits.map(({ name, simple }) => [name, { simple }] as const),
        ...unsafeRateLimits(config),
      ]),
      workerLoaders: keyed(config.worker_loaders, () => ({})),
      ...defined({
        versionMetadata: config.version_metadata?.binding,
        images: isShipped ? undefined : bound(config.images),
        stream: bound(config.stream),
        browserRendering: isShipped ? undefined : bound(config.browser),
      }),
    },
    unavailable: isShipped ? notDeployed(config) : [],
    warnings:
      config.browser === undefined || isShipped
        ? []
        : [
            `the binding ${config.browser.binding} starts a Chrome of its own, which is downloaded when it is first used`,
          ],
  }
}

/** What flexi's own process does for a worker in development: it would do it unconfined. */
function notDeployed({ images, browser }: Config): readonly Unavailable[] {
  const reason = 'a deployed worker has it in Cloudflare’s cloud alone'
  return [images, browser].flatMap((item) => (item === undefined ? [] : [{ name: item.binding, reason }]))
}

export function serviceOf({
  service,
  entrypoint,
  props,
}: NonNullable<Config['services']>[number]): WorkerService {
  return { name: service, ...defined({ entrypoint, props }) }
}

/** Only its name: miniflare's schemas refuse what else the file says about it. */
function bound(item: { readonly binding: string } | undefined): { readonly binding: string } | undefined {
  return item === undefined ? undefined : { binding: item.binding }
}

type RateLimit = readonly [string, { readonly simple: Config['ratelimits'][number]['simple'] }]

/** Rate limits were unsafe bindings once. */
function unsafeRateLimits({ unsafe }: Config): readonly RateLimit[] {
  return (unsafe.bindings ?? []).flatMap(({ type, name, ...rest }) => {
    const { simple } = rest as { simple?: RateLimit[1]['simple'] }
    return type === 'ratelimit' && simple !== undefined ? [[name, { simple }] as const] : []
  })
}

/** Unsafe bindings that say which plugin of miniflare runs them; the others throw. */
export function unsafeBindings({ config }: BindingInputs): Mapped {
  const list = (config.unsafe.bindings ?? []).filter(({ type }) => type !== 'ratelimit')
  return {
    options: {
      unsafeBindings: list.flatMap(({ name, type, dev, ...options }) =>
        dev === undefined
          ? []
          : [{ name, type, plugin: dev.plugin, options: { ...options, ...dev.options } }],
      ),
    },
    unavailable: list
      .filter(({ dev }) => dev === undefined)
      .map(({ name, type }) => ({ name, reason: `unsafe bindings of the type ${type} exist only remotely` })),
  }
}

/** Databases of this machine behind Hyperdrive. */
export function hyperdrive({ config, environment }: BindingInputs): Mapped {
  const urls: [string, string][] = []
  const unavailable: Unavailable[] = []
  for (const { binding, localConnectionString } of config.hyperdrive) {
    const url = connectionString(binding, environment) ?? localConnectionString
    const reason = refusal(url)
    if (url !== undefined && reason === undefined) urls.push([binding, url])
    else unavailable.push({ name: binding, reason: reason ?? '' })
  }
  return { options: { hyperdrives: Object.fromEntries(urls) }, unavailable }
}

/** Where wrangler looks for a database on this machine before it looks into the file. */
function connectionString(binding: string, environment: BindingInputs['environment']): string | undefined {
  const names = ['CLOUDFLARE', 'WRANGLER'].map(
    (prefix) => `${prefix}_HYPERDRIVE_LOCAL_CONNECTION_STRING_${binding}`,
  )
  return names.map((name) => environment[name]).find((value) => value !== undefined && value !== '')
}

/** What miniflare would refuse the whole runtime for. */
function refusal(text: string | undefined): string | undefined {
  if (text === undefined)
    return 'write "localConnectionString" beside its id to name a database on this machine'
  if (URL.canParse(text) && isDatabase(new URL(text))) return undefined
  return 'its connection string must have the form postgres://user:password@host:port/database (or mysql:)'
}

function isDatabase({ protocol, hostname, pathname, username, password }: URL): boolean {
  const known = /^(?:postgres|postgresql|mysql):$/.test(protocol)
  return known && [hostname, pathname, username, password].every((part) => part !== '')
}

/** Certificates for requests to servers that ask for one; their files are named by variables of the environment. */
export function certificates({ config, environment }: BindingInputs): Mapped {
  const services: [string, NetworkService][] = []
  const unavailable: Unavailable[] = []
  for (const { binding } of config.mtls_certificates) {
    try {
      services.push([binding, networkWith(binding, { config, environment })])
    } catch (error) {
      unavailable.push({ name: binding, reason: errorMessage(error) })
    }
  }
  return { options: { serviceBindings: Object.fromEntries(services) }, unavailable }
}

function networkWith(
  binding: string,
  { config, environment }: Pick<BindingInputs, 'config' | 'environment'>,
): NetworkService {
  const read = (kind: 'CERTIFICATE' | 'KEY'): string => {
    const name = `FLEXI_MTLS_${kind}_${binding}`
    const path = environment[name]
    if (path === undefined) throw new Error(`set ${name} to a PEM file of this machine`)
    return readFileSync(atConfig(config, path), 'utf8')
  }
  const keypair = { certificateChain: read('CERTIFICATE'), privateKey: read('KEY') }
  const authorities = environment['NODE_EXTRA_CA_CERTS']
  const trustedCertificates = authorities === undefined ? [] : [readFileSync(authorities, 'utf8')]
  return {
    network: {
      allow: ['public', 'private'],
      tlsOptions: { trustBrowserCas: true, trustedCertificates, keypair },
    },
  }
}
