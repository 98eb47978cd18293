import { errorMessage } from '../../core/errors.ts'
import type { Caller, VersionRecord } from '../model.ts'
import { removePins } from './bind-routes.ts'
import { keyText, versionsOf } from './keys.ts'
import type { Parts } from './parts.ts'
import type { Running } from './running.ts'
import { ROUTES } from './switchboard.ts'

const KEEP_VERSIONS = 20
/** Moves of each alias that can be gone back to, whatever the age of what they lead to. */
const KEEP_MOVES = 5

/**
 * Removes the oldest of the versions that deployments counted, until so many are left: those that no alias leads to nor led to lately,
 * and that nobody is using. Versions that have a name of their own stay until somebody removes them.
 */
export async function prune(parts: Parts, running: Running, { name, caller }: ToPrune): Promise<void> {
  const { store, switchboard, ledger, log } = parts
  for (const record of superfluous(parts, name)) {
    try {
      store.transaction(() => {
        removePins(store, record)
        store.versions.remove(record)
        ledger.done({ caller, action: 'version.prune', object: keyText(record) })
      })
      switchboard.dismiss(record)
      switchboard.publish(name)
      await running.takeDown(record)
    } catch (error) {
      log.error('version.prune', { version: keyText(record), message: errorMessage(error) })
    }
  }
}

export interface ToPrune {
  readonly name: string
  /** Whose deployment made them too many. */
  readonly caller: Caller
}

function superfluous(parts: Parts, name: string): readonly VersionRecord[] {
  const { store, keepVersions = KEEP_VERSIONS } = parts
  const aliases = store.aliases.of(name)
  const moves = aliases.flatMap(({ alias }) => store.aliases.history(name, alias, KEEP_MOVES))
  const kept = new Set([...aliases, ...moves].flatMap(versionsOf))
  const counted = store.versions.of(name).filter(({ version }) => /^v\d+$/.test(version))
  const oldest = counted.sort((one, other) => one.createdAt - other.createdAt)
  const many = Math.max(0, oldest.length - keepVersions)
  return oldest.slice(0, many).filter((record) => !kept.has(record.version) && isUnused(parts, record))
}

/** A WebSocket that is open holds its instance. */
function isUnused({ runtime }: Parts, record: VersionRecord): boolean {
  if (record.config.provider === ROUTES) return true
  const status = runtime.status(record)
  return status === undefined || (status.instances === 0 && status.inFlight === 0)
}
