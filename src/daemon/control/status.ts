import type { VersionRecord, VersionStatus } from '../model.ts'
import type { Parts } from './parts.ts'
import { versionsOf } from './keys.ts'
import { ROUTES } from './switchboard.ts'

type Services = Pick<Parts, 'store' | 'runtime'>

export function statusOf({ store, runtime }: Services, record: VersionRecord): VersionStatus {
  const { name, version, wanted, createdAt } = record
  const rows = store.aliases.of(name)
  const aliases = rows.flatMap((row) => (versionsOf(row).includes(version) ? [row.alias] : []))
  const known = wanted === 'running' ? runtime.status(record) : undefined
  if (known !== undefined) return { ...known, aliases }
  // Routes have no process: they are there as long as they are wanted.
  const state = wanted === 'running' && record.config.provider === ROUTES ? 'running' : 'stopped'
  return { name, version, state, instances: 0, inFlight: 0, since: createdAt, restarts: 0, aliases }
}
