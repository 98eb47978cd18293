import { usesCache } from '../bare/bare.ts'
import type { BuiltWorker } from './groups.ts'
import { sharedBy, storedBy } from './links.ts'

/** Whether there are databases that two processes would lock each other out of. */
export function ownsData({ settings: { config, bindings } }: BuiltWorker): boolean {
  const { kv, r2, d1, queues, secrets } = storedBy({ config, options: bindings.options })
  const stores = [kv, r2, d1, queues, secrets, sharedBy(bindings.options)].some(({ length }) => length > 0)
  return bindings.exclusive || stores
}

/** Whether it keeps answers in a cache that its next process goes on with; a deployed one has its cache for itself. */
export function sharesCache({ settings, program }: BuiltWorker): boolean {
  return settings.inputs.isShipped !== true && program !== undefined && usesCache(program)
}
