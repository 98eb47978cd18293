import type { LocalState, LocalStateOptions } from './local.ts'

/** Stored data of workers, for commands and programs. Light: a runtime is loaded by `local.ts`, which is imported late. */
export type { Control, ControlAnswer, ControlRequest } from '../control/control.ts'
export type { StateKind, StateResource } from './ask.ts'
export { execute, type D1Result, type D1Value } from './d1.ts'
export { exportSql } from './d1-export.ts'
export { applyMigrations, createMigration, listMigrations, type Migration } from './d1-migrations.ts'
export { findResource, type Wanted } from './find.ts'
export { kvNamespace, type KvEntry, type KvKey } from './kv.ts'
export { sendMessage, storedSecret, type MessageType } from './messages.ts'
export { r2Bucket, type R2Object } from './r2.ts'
export type {
  StoredDatabase,
  StoredQueue,
  StoredResource,
  StoredSecretName,
  WorkerResources,
} from './resources.ts'

/** @see local.ts */
export async function openLocalState(options: LocalStateOptions): Promise<LocalState> {
  return (await import('./local.ts')).openLocalState(options)
}
