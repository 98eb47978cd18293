import { FlexiError } from '../../core/errors.ts'
import type { VersionRecord } from '../model.ts'
import type { Askable } from '../routing/alias-target.ts'
import type { RoutedFunction } from '../routing/project-routes.ts'
import { parseRoutes, placeFolders, routedFunctions, type ShippedTable } from '../routing/shipped-routes.ts'
import { findVersion } from './keys.ts'
import { LIVE, type Parts } from './parts.ts'
import { configOf, ROUTES } from './switchboard.ts'

export interface RoutesToBind {
  readonly record: VersionRecord
  readonly project: string | undefined
  /** Undefined for the version's own host. */
  readonly alias: string | undefined
  /** Versions that come into force with it, by name. */
  readonly pending?: ReadonlyMap<string, VersionRecord> | undefined
  /** For the version's own host; default: those that were written. */
  readonly pins?: Pins | undefined
  /** A route to a function that is not there is a fault. */
  readonly strict?: boolean | undefined
}

type Services = Pick<Parts, 'store' | 'artifacts' | 'switchboard'>

/**
 * Opens what the routes of a project lead to, for one alias or for the version's own host. Nothing changes for anybody until it is published.
 * @throws FlexiError FLEXI_CONFIG, FLEXI_UPLOAD.
 */
export async function bindRoutes(parts: Services, routes: RoutesToBind): Promise<void> {
  const { record, alias } = routes
  const table = await parseRoutes(record.config.options)
  const directory = await parts.artifacts.unpack(record.artifact)
  await parts.switchboard.tables.bind({
    key: record,
    alias,
    rules: placeFolders(table, directory),
    noRoute: table.noRoute,
    functions: functionsOf(table, parts, routes),
  })
}

/** Those that routes lead to, and the others of the project: guards may ask them by name. */
function functionsOf(
  table: ShippedTable,
  parts: Services,
  routes: RoutesToBind,
): ReadonlyMap<string, RoutedFunction> {
  const pins = routes.alias === undefined ? (routes.pins ?? readPins(parts.store, routes.record)) : {}
  const routed = routedFunctions(table)
  const functions = new Map<string, RoutedFunction>()
  for (const name of new Set([...routed, ...companions(parts.store, routes)])) {
    const version = routedVersion(name, pins[name], parts.store, routes)
    if (version === undefined && routes.strict === true && routed.has(name))
      throw missing(name, routes.record)
    if (version?.config.provider === ROUTES) continue
    const config = version === undefined ? undefined : configOf(version)
    functions.set(name, { config, target: targetOf(name, pins[name], parts.switchboard, routes) })
  }
  return functions
}

/** The functions of the same project. */
function companions(store: Parts['store'], { project, pending }: RoutesToBind): readonly string[] {
  const stored = store.functions.all().filter((row) => project !== undefined && row.project === project)
  return [...(pending?.keys() ?? []), ...stored.map(({ name }) => name)]
}

function routedVersion(
  name: string,
  pin: string | undefined,
  store: Parts['store'],
  { pending, alias = LIVE }: RoutesToBind,
): VersionRecord | undefined {
  return (
    pending?.get(name) ??
    findVersion(store, { name, version: pin ?? alias }) ??
    findVersion(store, { name, version: LIVE })
  )
}

function targetOf(
  name: string,
  pin: string | undefined,
  switchboard: Parts['switchboard'],
  { alias = LIVE }: RoutesToBind,
): Askable {
  return pin === undefined ? switchboard.target(name, alias) : switchboard.pinned({ name, version: pin })
}

function missing(name: string, record: VersionRecord): FlexiError {
  return new FlexiError(
    'FLEXI_CONFIG',
    `the routes of ${record.name} lead to ${name}, which is not deployed`,
    {
      hint: `Deploy ${name} with them.`,
    },
  )
}

export type Pins = Readonly<Record<string, string>>

/** What the functions of a project were when its routes were deployed: the versions' own hosts show them. */
export function writePins(store: Parts['store'], record: VersionRecord, pins: Pins): void {
  store.settings.set(pinSetting(record), JSON.stringify(pins))
}

export function removePins(store: Parts['store'], key: Pick<VersionRecord, 'name' | 'version'>): void {
  store.settings.remove(pinSetting(key))
}

function readPins(store: Parts['store'], record: VersionRecord): Pins {
  return JSON.parse(store.settings.get(pinSetting(record)) ?? '{}') as Pins
}

function pinSetting({ name, version }: Pick<VersionRecord, 'name' | 'version'>): string {
  return `pins:${name}@${version}`
}
