import type { SocketFetcher } from '../../../core/fetcher.ts'
import type { Client, Ending } from './events.ts'
import { managementOf } from './management.ts'
import type { ServedApi } from './route-call.ts'

/** A connection, as those see it who have only its id. */
export interface OpenConnection {
  readonly client: Client
  /** Milliseconds since the epoch. */
  readonly lastActiveAt: number
  /** False when the client takes nothing any more and too much waits for it already. */
  send(data: string | Buffer): boolean
  close(ending: Ending): void
}

/** All WebSocket connections of one running application. They outlive its tables of routes and the code of its functions. */
export interface WebSockets {
  /** By connection id. */
  readonly connections: Map<string, OpenConnection>
  /** API Gateway's Management API: `POST`, `GET` and `DELETE` of `[/STAGE]/@connections/ID`. */
  readonly management: SocketFetcher
  /** The API of these routes. From now on connections that it already has are served by them too. */
  adopt(api: Omit<ServedApi, 'failures'>): ServedApi
}

/** What a client is told when its time is over, or the server's. */
export const GOING_AWAY: Ending = { code: 1001, reason: 'Going away' }

const known = new WeakMap<object, WebSockets>()

/** By the application's key: `ApiHost.app`, `GuardHost.app`. */
export function webSocketsOf(app: object): WebSockets {
  const webSockets = known.get(app) ?? openWebSockets()
  known.set(app, webSockets)
  return webSockets
}

function openWebSockets(): WebSockets {
  const connections = new Map<string, OpenConnection>()
  const apis = new Map<string, ServedApi>()
  let closing: AbortSignal | undefined
  const closeAll = (): void => {
    for (const connection of connections.values()) connection.close(GOING_AWAY)
  }
  return {
    connections,
    management: managementOf(connections),
    adopt(newest) {
      const { apiId, stage } = newest.options
      const key = JSON.stringify([apiId, stage])
      const api = apis.get(key) ?? { ...newest, failures: new Map() }
      Object.assign(api, newest)
      apis.set(key, api)
      if (closing === undefined) {
        closing = newest.host.closing
        closing?.addEventListener('abort', closeAll)
      }
      return api
    },
  }
}
