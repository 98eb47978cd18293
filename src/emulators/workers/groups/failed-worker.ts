import type { Config } from '../configuration.ts'
import type { MiniflareWorker } from '../miniflare.ts'
import type { Part } from './composition.ts'

type Kind = 'WorkerEntrypoint' | 'DurableObject' | 'WorkflowEntrypoint'

/** Stands in for a worker that cannot run, with all that others bind to, so that they can: whoever calls it is told why. */
export function failedWorker({ name, reason }: Part, parts: readonly Part[]): MiniflareWorker {
  const wanted = new Map(
    parts.flatMap(({ member, built }) => [...wantedOf((built?.settings ?? member.settings()).config, name)]),
  )
  const message = `the worker ${name} cannot run: ${reason ?? 'it was not built'}`
  const classes = [...wanted].map(
    ([exported, kind]) => `export class ${exported} extends refusing(${kind}) {}`,
  )
  const contents = `import { DurableObject, WorkerEntrypoint, WorkflowEntrypoint } from 'cloudflare:workers'
const refusing = (Base) => class extends Base {
  constructor(ctx, env) {
    super(ctx, env)
    throw new Error(${JSON.stringify(message)})
  }
}
${classes.join('\n')}
export default class extends refusing(WorkerEntrypoint) {}
`
  return {
    name,
    modules: [{ type: 'ESModule', path: `/flexi/${name}.mjs`, contents }],
    modulesRoot: '/flexi',
    compatibilityDate: '2026-01-01',
  }
}

/** What a worker expects another one to export. */
function wantedOf(config: Config, name: string): readonly (readonly [string, Kind])[] {
  return [
    ...(config.services ?? [])
      .filter(({ service }) => service === name)
      .flatMap(({ entrypoint }) =>
        entrypoint === undefined ? [] : [[entrypoint, 'WorkerEntrypoint'] as const],
      ),
    ...config.durable_objects.bindings
      .filter(({ script_name }) => script_name === name)
      .map(({ class_name }) => [class_name, 'DurableObject'] as const),
    ...config.workflows
      .filter(({ script_name }) => script_name === name)
      .map(({ class_name }) => [class_name, 'WorkflowEntrypoint'] as const),
  ]
}
