import type { MiniflareWorker } from '../miniflare.ts'
import { bindingName, CONTROL_ENTRYPOINT, CONTROL_NAME, type ControlBindings } from './control.ts'
import { CONTROL_COMPATIBILITY, controlModule } from './module.ts'

/** What the control worker is bound to, and how. */
export interface ControlResources extends ControlBindings {
  /** Workers of which the entrypoint that is not their assets has a name of its own. */
  readonly entrypoints?: Readonly<Record<string, string>> | undefined
}

export const NO_RESOURCES: ControlResources = {
  workers: [],
  kv: [],
  r2: [],
  d1: [],
  queues: [],
  secrets: [],
}

/** The control worker in miniflare's words. */
export function controlWorker(resources: ControlResources, token: string): MiniflareWorker {
  const { workers, kv, r2, d1, queues, secrets, entrypoints = {} } = resources
  const bound = <V>(
    list: readonly string[],
    name: (id: string) => string,
    value: (id: string) => V,
  ): Record<string, V> => Object.fromEntries(list.map((id) => [name(id), value(id)]))
  const same = (id: string): string => id
  return {
    name: CONTROL_NAME,
    modules: [{ type: 'ESModule', path: '/flexi/control.mjs', contents: controlModule(token) }],
    modulesRoot: '/flexi',
    compatibilityDate: CONTROL_COMPATIBILITY.date,
    compatibilityFlags: CONTROL_COMPATIBILITY.flags,
    unsafeDirectSockets: [{ host: '127.0.0.1', port: 0, entrypoint: CONTROL_ENTRYPOINT }],
    // It asks nobody and keeps nothing: two isolates less to start.
    stripCfConnectingIp: false,
    cache: false,
    serviceBindings: bound(workers, bindingName.worker, (name) => {
      const entrypoint = entrypoints[name]
      return entrypoint === undefined ? { name } : { name, entrypoint }
    }),
    kvNamespaces: bound(kv, bindingName.kv, same),
    r2Buckets: bound(r2, bindingName.r2, same),
    d1Databases: bound(d1, bindingName.d1, same),
    queueProducers: bound(queues, bindingName.queue, (queueName) => ({ queueName })),
    secretsStoreSecrets: Object.fromEntries(
      secrets.map(({ store, name }) => [
        bindingName.secret(store, name),
        { store_id: store, secret_name: name },
      ]),
    ),
  }
}
