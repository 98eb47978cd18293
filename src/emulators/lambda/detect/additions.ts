import type { FunctionConfig } from '../../../core/function.ts'
import { settingsProblems } from '../option-checks/settings.ts'
import type { Problem } from '../option-checks/checks.ts'
import type { EventSource } from '../service/event-source.ts'
import type { FunctionSettings } from '../service/function-settings.ts'
import { sayOnce, type Findings } from './findings.ts'
import { mergedResources } from './resources.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

/** What a file says of a function in another place than where it declares it. */
export type Addition = {
  /** Its name in the project. */
  readonly function: string
  readonly node: YamlNode
} & ({ readonly source: EventSource } | { readonly setting: keyof FunctionSettings; readonly value: unknown })

/** Whatever cannot be is told where it stands and left out: its function is served all the same. */
export async function completed(findings: Findings): Promise<Findings> {
  const sound: Addition[] = []
  for (const addition of findings.additions) {
    const [problem] = await problemsOf(addition)
    if (problem === undefined) sound.push(addition)
    else sayOnce(findings, notTaken(addition, problem))
  }
  return {
    ...findings,
    functions: findings.functions.map((config) =>
      withAdditions(
        config,
        sound.filter((one) => one.function === config.name),
      ),
    ),
    resources: mergedResources(findings.resources),
    additions: [],
  }
}

async function problemsOf(addition: Addition): Promise<readonly Problem[]> {
  if ('source' in addition) {
    const { sourceProblems } = await import('../option-checks/sources.ts')
    return sourceProblems([addition.source])
  }
  return settingsProblems({ [addition.setting]: addition.value })
}

function notTaken(addition: Addition, { message, hint }: Problem): ReturnType<typeof faultAt> {
  const what =
    'source' in addition
      ? `its source ${addition.source.type} delivers nothing: ${message.replace('sources[0].', '')}`
      : `${message}; it is left out`
  return faultAt(addition.node, `${addition.function}: ${what}`, { severity: 'warning', hint })
}

function withAdditions(config: FunctionConfig, additions: readonly Addition[]): FunctionConfig {
  if (additions.length === 0) return config
  const sources = additions.flatMap((one) => ('source' in one ? [one.source] : []))
  const settings = additions.flatMap((one) => ('setting' in one ? [[one.setting, one.value] as const] : []))
  return {
    ...config,
    options: {
      ...config.options,
      ...Object.fromEntries(settings),
      ...(sources.length === 0 ? {} : { sources }),
    },
  }
}
