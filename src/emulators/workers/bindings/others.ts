import type { Config } from '../configuration.ts'
import { storedClasses } from '../durable-objects.ts'
import type { MiniflareBindings } from '../miniflare.ts'
import { defined, isOwn, keyed, type BindingInputs, type Mapped, type Unavailable } from './inputs.ts'
import { engineOptions } from './messaging.ts'
import { serviceOf } from './services.ts'

/** Everything that leads to another worker of the project: its entrypoints, objects and workflows, and who is told of this one's events. */
export function otherWorkers(inputs: BindingInputs): Mapped {
  const { config } = inputs
  const found = (name: string | undefined): Config | undefined => inputs.neighbours?.get(name ?? '')
  const services = (config.services ?? []).filter(({ service }) => service !== config.name)
  const objects = config.durable_objects.bindings.filter(({ script_name }) => !isOwn(config, script_name))
  const flows = config.workflows.filter(({ script_name }) => !isOwn(config, script_name))
  return {
    options: {
      serviceBindings: keyed(
        services.filter(({ service }) => found(service) !== undefined),
        serviceOf,
      ),
      durableObjects: Object.fromEntries(
        objects.flatMap(({ name, class_name, script_name }) => {
          const owner = found(script_name)
          if (owner === undefined || script_name === undefined) return []
          const useSQLite = storedClasses(owner).get(class_name) ?? false
          return [[name, { className: class_name, scriptName: script_name, useSQLite }]]
        }),
      ),
      ...workflowOptions(flows, found),
      ...tails(inputs, found),
    },
    unavailable: [
      ...missing(services, ({ binding, service }) => [binding, service], { inputs, found }),
      ...missing(objects, ({ name, script_name }) => [name, script_name], { inputs, found }),
      ...missing(flows, ({ binding, script_name }) => [binding, script_name], { inputs, found }),
    ],
    warnings: inputs.neighbours === undefined ? [] : deaf(inputs, found),
  }
}

type Find = (name: string | undefined) => Config | undefined

function workflowOptions(flows: Config['workflows'], found: Find): MiniflareBindings {
  const there = flows.flatMap(({ binding, name, class_name, script_name }) => {
    const owner = found(script_name)
    if (owner === undefined) return []
    const own = owner.workflows.find((flow) => flow.name === name && isOwn(owner, flow.script_name))
    return [{ binding, name, class_name, script_name, ...engineOptions(owner, own?.limits) }]
  })
  if (there.length === 0) return {}
  return {
    workflows: keyed(there, ({ name, class_name, script_name, stepLimit, compatibilityFlags }) =>
      defined({ name, className: class_name, scriptName: script_name, stepLimit, compatibilityFlags }),
    ),
  }
}

function missing<T>(
  list: readonly T[],
  names: (item: T) => readonly [name: string, worker: string | undefined],
  { inputs, found }: { readonly inputs: BindingInputs; readonly found: Find },
): readonly Unavailable[] {
  return list.map(names).flatMap(([name, worker]) => {
    if (found(worker) !== undefined) return []
    return [{ name, reason: `it is the worker ${worker}, ${absence(inputs)}` }]
  })
}

function absence({ isShipped = false }: BindingInputs): string {
  return isShipped
    ? 'which is a function apart from this one when it is deployed: put both into one Worker'
    : 'which is not part of this project'
}

/** A worker may listen to itself. */
function tails({ config }: BindingInputs, found: Find): MiniflareBindings {
  const there = (list: readonly { readonly service: string }[] | undefined): { name: string }[] =>
    (list ?? [])
      .filter(({ service }) => service === config.name || found(service) !== undefined)
      .map(({ service }) => ({ name: service }))
  const listeners = {
    tails: there(config.tail_consumers),
    streamingTails: there(config.streaming_tail_consumers),
  }
  return Object.fromEntries(Object.entries(listeners).filter(([, list]) => list.length > 0))
}

/** Who would be told and is not there. */
function deaf(inputs: BindingInputs, found: Find): readonly string[] {
  const { config } = inputs
  return [...(config.tail_consumers ?? []), ...(config.streaming_tail_consumers ?? [])]
    .filter(({ service }) => service !== config.name && found(service) === undefined)
    .map(({ service }) => `the tail worker ${service}, ${absence(inputs)}, is told nothing`)
}
