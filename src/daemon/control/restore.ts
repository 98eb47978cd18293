import { errorMessage } from '../../core/errors.ts'
import type { VersionRecord } from '../model.ts'
import { keyText, versionsOf } from './keys.ts'
import type { Parts } from './parts.ts'
import type { Running } from './running.ts'
import { bindRoutes } from './bind-routes.ts'
import { ROUTES } from './switchboard.ts'

const DEPLOYMENTS_MAX = 1_000

/**
 * Puts in force what the store says, after a start or a crash. One version that cannot be had costs nobody else anything. Resolves when
 * all can be asked; those that are to run unasked are started after that.
 */
export async function restore(parts: Parts, running: Running): Promise<void> {
  parts.tenure.begin()
  endDeployments(parts)
  const { store, switchboard } = parts
  for (const { name } of store.functions.all()) {
    const led = store.aliases.of(name).flatMap(versionsOf)
    for (const record of store.versions.of(name)) {
      if (record.wanted === 'running')
        await admit(parts, record, led.length === 0 || led.includes(record.version))
    }
    switchboard.publish(name)
  }
  void startWanted(parts, running)
}

/** What was under way when the daemon ended has not happened. */
function endDeployments({ store, log, clock }: Parts): void {
  for (const record of store.deployments.recent(DEPLOYMENTS_MAX)) {
    if (record.endedAt !== undefined) continue
    log.warn('deployment.interrupted', { id: record.id, project: record.project, state: record.state })
    store.transaction(() => {
      store.deployments.put({
        ...record,
        state: 'failed',
        endedAt: clock(),
        error: 'the daemon ended meanwhile',
      })
      for (const { name } of record.keys) {
        const row = store.functions.get(name)
        const isBare = store.versions.of(name).length === 0 && store.variables.of(name).length === 0
        if (row !== undefined && isBare && row.createdAt >= record.startedAt) store.functions.remove(name)
      }
    })
  }
}

async function admit(parts: Parts, record: VersionRecord, led: boolean): Promise<void> {
  const { store, switchboard, log } = parts
  try {
    if (record.config.provider === ROUTES) {
      const project = store.functions.get(record.name)?.project
      const aliases = store.aliases.of(record.name).filter((row) => versionsOf(row).includes(record.version))
      for (const alias of [undefined, ...aliases.map((row) => row.alias)])
        await bindRoutes(parts, { record, project, alias })
    }
    await switchboard.admit(record, { led })
  } catch (error) {
    log.error('version.restore', { version: keyText(record), message: errorMessage(error) })
  }
}

/** One after the other: requests come first. */
async function startWanted(parts: Parts, running: Running): Promise<void> {
  const { store, switchboard, log, closing } = parts
  const names = store.functions.all().map(({ name }) => name)
  for (const record of names.flatMap((name) => switchboard.versions(name))) {
    if ((record.config.instances.min ?? 0) === 0 || record.config.provider === ROUTES) continue
    if (closing.aborted) return
    if (switchboard.admitted(record) === undefined) continue
    await running.warm(record, closing).catch((error: unknown) => {
      log.error('version.start', { version: keyText(record), message: errorMessage(error) })
    })
  }
}
