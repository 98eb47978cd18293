import type { ControlPlane } from '../control-plane.ts'
import type { Caller, FunctionKey } from '../model.ts'
import type { ApiBase, Handlers } from './handler.ts'
import type { functionOperations } from './schemas/function-operations.ts'
import { isSet } from './schemas/names.ts'

/** Lines of a log when nobody says how many. */
const LOG_LINES = 100

/** Deployed functions, their aliases, logs and variables. */
export const functionHandlers: Handlers<keyof typeof functionOperations> = {
  functions: ({ query }, { control }) => control.functions(query),

  getFunction: ({ parameters }, { control }) => control.function(parameters.name),

  async removeFunction({ caller, parameters }, { control }) {
    await control.removeFunction(caller, parameters.name)
  },

  async setGroup({ caller, parameters, body }, { control }) {
    await control.setGroup(caller, parameters.name, body.group)
  },

  async startFunction({ caller, parameters, query }, { control }) {
    await control.start(caller, { name: parameters.name, version: query.version ?? 'live' })
  },

  async stopFunction({ caller, parameters, query }, { control }) {
    const keys =
      query.version === undefined
        ? startedVersions(control, parameters.name)
        : [{ name: parameters.name, version: query.version }]
    for (const key of keys) await control.stop(caller, key)
  },

  setAlias: ({ caller, parameters, body }, { control }) =>
    control.setAlias(caller, parameters.name, parameters.alias, body),

  async removeAlias({ caller, parameters }, { control }) {
    await control.removeAlias(caller, parameters.name, parameters.alias)
  },

  aliasHistory: ({ parameters }, { control }) => control.aliasHistory(parameters.name, parameters.alias),

  rollback: ({ caller, parameters, body }, { control }) =>
    control.rollback(caller, parameters.name, body.alias, body.to),

  logs({ caller, parameters, query, watching }, base) {
    requireMember(base, caller, parameters.name)
    const { since, limit = LOG_LINES, version } = query
    const follow = isSet(query.follow)
    return base.control.logs({ function: parameters.name, version, since, limit, follow, signal: watching })
  },

  variables({ caller, parameters }, base) {
    requireMember(base, caller, parameters.name)
    return base.control.variables(parameters.name)
  },

  async setVariables({ caller, parameters, body }, { control }) {
    await control.setVariables(caller, parameters.name, body)
  },
}

function startedVersions(control: ControlPlane, name: string): readonly FunctionKey[] {
  return control
    .function(name)
    .statuses.filter(({ state }) => state !== 'stopped')
    .map(({ version }) => ({ name, version }))
}

/** What a function prints and is given may be private: it is shown to those who may change it. */
function requireMember({ control, accounts }: ApiBase, caller: Caller, name: string): void {
  const { group } = control.function(name)
  accounts.demand(caller, 'read', group)
}
