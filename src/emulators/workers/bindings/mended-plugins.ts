import { directDatabases } from './direct-databases.ts'
import { keptQueues } from './kept-queues.ts'
import { keptWorkflows } from './kept-workflows.ts'
import { liveAssets } from './live-assets.ts'
import type { Plugin, Service, ServiceBinding } from './plugin.ts'

/** The plugins that are touched; miniflare exports them all. */
export interface Plugins {
  readonly hyperdrive: Plugin
  readonly email: Plugin
  readonly assets: Plugin
  readonly queues: Plugin
  readonly workflows: Plugin
}

const seen = new WeakSet<Plugins>()

/**
 * Mends what miniflare's plugins lack here, once: several workers in one runtime may have bindings of the same name, and assets of their
 * own, where miniflare calls the service behind them by the binding's name alone, or by nothing, and gives every worker the first one's;
 * changes of assets show without a new runtime; queues and workflows go on in the next one; a database that is down ends nothing.
 */
export function mendPlugins(plugins: Plugins): void {
  if (seen.has(plugins)) return
  seen.add(plugins)
  byWorker(plugins.email)
  byWorker(plugins.hyperdrive)
  directDatabases(plugins.hyperdrive)
  liveAssets(plugins.assets)
  ownFolders(plugins.assets)
  keptQueues(plugins.queues)
  keptWorkflows(plugins.workflows)
}

/** Appends the worker's number to what the plugin calls its services. */
function byWorker(plugin: Plugin): void {
  const { getBindings, getServices } = plugin
  plugin.getBindings = async (options, workerIndex) => {
    const bindings = ((await getBindings.call(plugin, options, workerIndex)) ?? []) as ServiceBinding[]
    const named = <T extends { readonly name: string }>(service: T): T => ({
      ...service,
      name: `${service.name}:${workerIndex}`,
    })
    return bindings.map(({ service, hyperdrive, ...rest }) => ({
      ...rest,
      ...(service === undefined ? {} : { service: named(service) }),
      ...(hyperdrive === undefined
        ? {}
        : { hyperdrive: { ...hyperdrive, designator: named(hyperdrive.designator) } }),
    }))
  }
  plugin.getServices = async (options) => {
    const services = ((await getServices.call(plugin, options)) ?? []) as Service[]
    return services.map((service) => ({ ...service, name: `${service.name}:${options.workerIndex}` }))
  }
}

const STORAGE = 'assets:storage'

/** Gives the assets of each worker a folder of their own. */
function ownFolders(plugin: Plugin): void {
  const { getServices } = plugin
  plugin.getServices = async (args) => {
    const services = ((await getServices.call(plugin, args)) ?? []) as Service[]
    const own = `${STORAGE}:${args.workerIndex}`
    const rename = (binding: ServiceBinding): ServiceBinding =>
      binding.service?.name === STORAGE ? { ...binding, service: { ...binding.service, name: own } } : binding
    return services.map((service) => {
      if (service.name === STORAGE) return { ...service, name: own }
      if (service.worker?.bindings === undefined) return service
      return { ...service, worker: { ...service.worker, bindings: service.worker.bindings.map(rename) } }
    })
  }
}
