import type { Config } from './configuration.ts'
import type { MiniflareBindings } from './miniflare.ts'

/** The Durable Object classes of this worker: the bound ones, and those that only its migrations name. */
export function durableObjects(config: Config): MiniflareBindings {
  const classes = migratedClasses(config.migrations)
  const own = config.durable_objects.bindings.filter((binding) => isOwn(config, binding))
  const bound = new Set(own.map(({ class_name }) => class_name))
  const unbound = [...classes].filter(([className]) => !bound.has(className))
  return {
    durableObjects: Object.fromEntries(
      own.map(({ name, class_name }) => [
        name,
        { className: class_name, useSQLite: classes.get(class_name) ?? false },
      ]),
    ),
    additionalUnboundDurableObjects: unbound.map(([className, useSQLite]) => ({ className, useSQLite })),
  }
}

/** True for a class that this worker exports itself. */
export function isOwn(
  config: Config,
  { script_name }: { readonly script_name?: string | undefined },
): boolean {
  return script_name === undefined || script_name === config.name
}

/** Class name → whether it is stored in SQLite, after all migrations. */
function migratedClasses(migrations: Config['migrations']): ReadonlyMap<string, boolean> {
  const classes = new Map<string, boolean>()
  for (const migration of migrations) migrate(classes, migration)
  return classes
}

function migrate(
  classes: Map<string, boolean>,
  {
    new_classes = [],
    new_sqlite_classes = [],
    renamed_classes = [],
    deleted_classes = [],
  }: Config['migrations'][number],
): void {
  for (const name of new_classes) classes.set(name, false)
  for (const name of new_sqlite_classes) classes.set(name, true)
  for (const { from, to } of renamed_classes) {
    classes.set(to, classes.get(from) ?? false)
    classes.delete(from)
  }
  for (const name of deleted_classes) classes.delete(name)
}
