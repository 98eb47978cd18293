import type { SocketFetcher } from '../../../core/fetcher.ts'
import type { GuardHost } from '../../../core/function.ts'
import { errorMessage } from '../../../core/errors.ts'
import { splitTarget } from '../front-ends/front-end.ts'
import type { WebSocketOptions } from '../front-ends/route-options.ts'
import { shakeHands } from './handshake.ts'
import { webSocketsOf } from './web-sockets.ts'

/** @param region `eu-west-1`: where its functions are. */
export type OpenWebSocketApi = (options: WebSocketOptions, region: string) => SocketFetcher

/** WebSocket APIs of one table of routes: what answers at their addresses. */
export function openWebSockets(host: GuardHost): OpenWebSocketApi {
  const webSockets = webSocketsOf(host.app)
  return (options, region) => {
    const api = webSockets.adopt({ options, host, region })
    return {
      async handle(incoming, outgoing, context) {
        const { path } = splitTarget(context.raw.target)
        if (path.includes('/@connections/')) {
          await webSockets.management.handle(incoming, outgoing, context)
          return
        }
        const body = '{"message":"Upgrade Required"}'
        outgoing.writeHead(426, [
          'upgrade',
          'websocket',
          'connection',
          'upgrade',
          'content-type',
          'application/json',
        ])
        outgoing.end(body)
      },
      upgrade(incoming, socket, head, context) {
        const offer = { incoming, socket, head, context, path: options.path }
        const shaken = shakeHands(api, offer, webSockets).catch((error: unknown) => {
          host.log.error('websocket.fail', { message: errorMessage(error) })
          socket.destroy()
        })
        context.waitUntil(shaken)
      },
    }
  }
}
