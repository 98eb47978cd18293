import type { Plugin, Service } from './plugin.ts'

const MAIN = 'workflows.mjs'
/** miniflare's own module, as code beside it imports it. */
const WRAPPED = JSON.stringify(`./${MAIN}`)

/** Lets a workflow that was under way go on in the next runtime: miniflare keeps its steps and forgets to run it. */
export function keptWorkflows(plugin: Plugin): void {
  const { getServices } = plugin
  plugin.getServices = async (args) => {
    const services = ((await getServices.call(plugin, args)) ?? []) as Service[]
    return services.map(goingOn)
  }
}

function goingOn(service: Service): Service {
  const { modules = [] } = service.worker ?? {}
  if (modules[0]?.name !== MAIN) return service
  return {
    ...service,
    worker: { ...service.worker, modules: [{ name: 'flexi-kept.mjs', esModule: ENGINE }, ...modules] },
  }
}

// The alarm is set while an instance is under way. It has the engine made when a runtime starts, and finds it running in one that lives.
const ENGINE = `
import { Engine as Base } from ${WRAPPED}
export * from ${WRAPPED}

const METADATA = 'INSTANCE_METADATA'
const WAKE_MS = 1000
/** Paused, errored, terminated, complete. */
const RESTING = [2, 3, 4, 5]

export class Engine extends Base {
  async init(...instance) {
    await this.ctx.storage.setAlarm(Date.now() + WAKE_MS)
    return super.init(...instance)
  }

  async alarm() {
    const metadata = await this.ctx.storage.get(METADATA)
    if (metadata === undefined || RESTING.includes(await this.getStatus())) return
    await this.ctx.storage.setAlarm(Date.now() + WAKE_MS)
    if (this.isRunning) return
    const { accountId, workflow, version, instance, event } = metadata
    this.ctx.waitUntil(super.init(accountId, workflow, version, instance, event).catch(() => undefined))
  }
}
`
