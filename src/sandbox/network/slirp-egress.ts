import type { Egress, JoinedNetwork } from './egress.ts'
import type { FindPlace, NetworkPlace } from './network-place.ts'
import { ownAddresses } from './own-addresses.ts'
import { closeRoutes, type RoutePrograms } from './routes.ts'
import { startSlirp, type SlirpPrograms } from './slirp.ts'

/** Where clouds tell a machine its credentials, and what is on the same cable only. */
const LINK_LOCAL = '169.254.0.0/16'

/** A machine moves to another network now and then. */
const ADDRESSES_INTERVAL_MS = 10_000

export interface SlirpEgressParts {
  readonly name: string
  readonly programs: SlirpPrograms & RoutePrograms
  readonly findPlace: FindPlace
}

/** Joins, and closes the way to addresses that the machine gets later. */
export function slirpEgress({ name, programs, findPlace }: SlirpEgressParts): Egress {
  const joined = new Set<{ readonly place: NetworkPlace; readonly closed: Set<string> }>()
  const timer = setInterval(() => {
    if (joined.size === 0) return
    const addresses = ownAddresses()
    for (const { place, closed } of joined) {
      const fresh = addresses.filter((address) => !closed.has(address))
      for (const address of fresh) closed.add(address)
      if (fresh.length > 0) closeRoutes(programs, place, fresh).catch(() => undefined)
    }
  }, ADDRESSES_INTERVAL_MS).unref()
  return {
    name,
    async join(pid): Promise<JoinedNetwork> {
      const place = findPlace(pid)
      try {
        const { slirp, closed } = await joinAt(programs, place)
        const member = { place, closed: new Set(closed) }
        joined.add(member)
        return {
          async leave() {
            if (!joined.delete(member)) return
            place.close()
            await slirp.end()
          },
        }
      } catch (error) {
        place.close()
        throw error
      }
    },
    dispose: () => clearInterval(timer),
  }
}

async function joinAt(programs: SlirpEgressParts['programs'], place: NetworkPlace) {
  const slirp = await startSlirp(programs, place)
  try {
    const closed = ownAddresses()
    await closeRoutes(programs, place, [LINK_LOCAL, ...closed])
    return { slirp, closed }
  } catch (error) {
    await slirp.end()
    throw error
  }
}
