import type { GuardHost, PlaceGuard } from '../../../core/function.ts'
import type { OpenGuard } from './guards.ts'
import { guardedOptions, isGuarded } from './route-options.ts'

/** Guards for the addresses that ask something; the rest loads nothing and is reached directly. */
export function placeGuards(host: GuardHost): PlaceGuard {
  let opening: Promise<OpenGuard> | undefined
  return async (address, target) => {
    if (!isGuarded(guardedOptions(address))) return undefined
    opening ??= import('./guards.ts').then(({ openGuards }) => openGuards(host))
    return (await opening)(address, target)
  }
}
