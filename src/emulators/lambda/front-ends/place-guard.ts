import type { GuardHost, PlaceGuard } from '../../../core/function.ts'
import { functionRegion } from '../definition.ts'
import type { OpenWebSocketApi } from '../web-sockets/web-socket-api.ts'
import type { OpenGuard } from './guards.ts'
import { guardedOptions, isGuarded, isWebSocketOptions } from './route-options.ts'

/** Guards for the addresses that ask something; the rest loads nothing and is reached directly. */
export function placeGuards(host: GuardHost): PlaceGuard {
  let opening: Promise<OpenGuard> | undefined
  let webSockets: Promise<OpenWebSocketApi> | undefined
  return async (address, target) => {
    const { options } = address
    if (isWebSocketOptions(options)) {
      webSockets ??= import('../web-sockets/web-socket-api.ts').then(({ openWebSockets }) =>
        openWebSockets(host),
      )
      return (await webSockets)(options, functionRegion(address.config, process.env))
    }
    if (!isGuarded(guardedOptions(address))) return undefined
    opening ??= import('./guards.ts').then(({ openGuards }) => openGuards(host))
    return (await opening)(address, target)
  }
}
