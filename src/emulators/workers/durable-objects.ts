import { isOwn, type BindingInputs, type Mapped } from './bindings/inputs.ts'
import type { Config } from './configuration.ts'

/** The Durable Object classes that this worker exports: the bound ones, and those that only its migrations or `exports` name. */
export function durableObjects({ config }: BindingInputs): Mapped {
  const classes = storedClasses(config)
  const own = config.durable_objects.bindings.filter(({ script_name }) => isOwn(config, script_name))
  const bound = new Set(own.map(({ class_name }) => class_name))
  const unbound = [...classes].filter(([className]) => !bound.has(className))
  return {
    options: {
      durableObjects: Object.fromEntries(
        own.map(({ name, class_name }) => [
          name,
          { className: class_name, useSQLite: classes.get(class_name) ?? false },
        ]),
      ),
      additionalUnboundDurableObjects: unbound.map(([className, useSQLite]) => ({ className, useSQLite })),
    },
    warnings: containers(config),
  }
}

/** Class name → whether it is stored in SQLite, as the worker that exports it says. */
export function storedClasses(config: Config): ReadonlyMap<string, boolean> {
  const classes = new Map<string, boolean>()
  for (const migration of config.migrations) migrate(classes, migration)
  for (const [name, exported] of Object.entries(config.exports ?? {}))
    if (exported.type === 'durable-object' && 'storage' in exported)
      classes.set(name, exported.storage === 'sqlite')
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
  for (const name of deleted_classes) classes.delete(name)
  for (const { from, to } of renamed_classes) {
    classes.set(to, classes.get(from) ?? false)
    classes.delete(from)
  }
  for (const name of new_classes) classes.set(name, false)
  for (const name of new_sqlite_classes) classes.set(name, true)
}

function containers({ containers: list = [] }: Config): readonly string[] {
  return list.map(
    ({ class_name }) =>
      `the container of ${class_name} is not started, for which Docker would be needed: ctx.container is undefined in it`,
  )
}
