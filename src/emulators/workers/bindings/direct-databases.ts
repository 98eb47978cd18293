import { lookup } from 'node:dns/promises'
import { connect, createServer, type Server } from 'node:net'

import type { Plugin, ProxyController, Service, ServicesOptions } from './plugin.ts'

const MYSQL_PORT = '3306'
const POSTGRES_PORT = '5432'

/**
 * Databases that speak plain TCP are connected to by workerd itself. miniflare's own proxy in between ends this whole process when a
 * database is not there; it stays for those that ask for TLS, which it negotiates, with a guard behind it.
 */
export function directDatabases(plugin: Plugin): void {
  const { getServices } = plugin
  plugin.getServices = async (args) => {
    const databases = Object.entries(args.options.hyperdrives ?? {})
    const plain = databases.filter(([, url]) => !asksForTls(url))
    const rest = { hyperdrives: Object.fromEntries(databases.filter(([, url]) => asksForTls(url))) }
    const controller = guarded(args.hyperdriveProxyController)
    const negotiated = await getServices.call(plugin, {
      ...args,
      options: rest,
      hyperdriveProxyController: controller,
    })
    const direct = plain.map(async ([name, url]) => ({
      name: serviceName(name, args),
      external: { address: await addressOf(url), tcp: {} },
    }))
    return [...((negotiated ?? []) as Service[]), ...(await Promise.all(direct))]
  }
}

/** As `byWorker` of mended-plugins.ts has appended the worker's number to what miniflare says. */
function serviceName(binding: string, { workerIndex }: ServicesOptions): string {
  return `hyperdrive:${binding}:${workerIndex}`
}

function asksForTls({ searchParams }: URL): boolean {
  return [...searchParams].some(
    ([name, value]) =>
      /^(?:sslmode|ssl-mode|ssl)$/i.test(name) && !/^(?:disabled?|false|0|allow)$/i.test(value),
  )
}

/** A name that cannot be resolved would keep workerd from starting; nobody listens where it leads instead. */
async function addressOf({ hostname, port, protocol }: URL): Promise<string> {
  const usual = protocol === 'mysql:' ? MYSQL_PORT : POSTGRES_PORT
  const there = `${hostname}:${port === '' ? usual : port}`
  if (hostname.startsWith('[')) return there
  return lookup(hostname).then(
    () => there,
    () => '127.0.0.1:1',
  )
}

/** Keeps the connections of a controller's proxies to PostgreSQL from failing, unless the database's name is to be verified. */
function guarded(controller: ProxyController): ProxyController {
  const guards: Server[] = []
  const dispose = controller.dispose.bind(controller)
  controller.dispose = () => {
    for (const guard of guards) guard.close()
    dispose()
  }
  return {
    dispose: controller.dispose,
    async createProxyServer(config) {
      const isPostgres = config.scheme.startsWith('postgres')
      if (!isPostgres || config.sslmode === 'verify-full') return controller.createProxyServer(config)
      const guard = await openGuard(config.targetHost, Number(config.targetPort))
      guards.push(guard)
      const address = guard.address()
      const targetPort = String(typeof address === 'object' ? (address?.port ?? 0) : 0)
      return controller.createProxyServer({ ...config, targetHost: '127.0.0.1', targetPort })
    },
  }
}

/** PostgreSQL's word for "no TLS here", which is what the proxy waits for first. */
const NO_TLS = 'N'

/** Hands bytes on to the database; where there is none, it says that there is no TLS, which the proxy tells the client. */
async function openGuard(host: string, port: number): Promise<Server> {
  const server = createServer((client) => {
    const database = connect({ host, port })
    database.on('error', () => client.end(NO_TLS))
    client.on('error', () => database.destroy())
    client.on('close', () => database.destroy())
    client.pipe(database)
    database.pipe(client)
  })
  server.unref()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}
