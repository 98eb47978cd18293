import type { ApiHost } from '../../../core/function.ts'
import { groupsOf, type Member } from '../groups/groups.ts'
import { cronsOf } from './members.ts'

/** Whether there are crons to keep, or may be soon: the API is opened at the start then. Reads nothing that is not read already. */
export function isApiWanted({ app }: Pick<ApiHost, 'app'>): boolean {
  return groupsOf(app)
    .members()
    .some((member) => cronsOf(member).length > 0 || changesUntold(member))
}

/** Its wrangler file is not among the project's own: nobody asks again when it changes. */
function changesUntold({ config }: Member): boolean {
  return config.options['digest'] === undefined && config.options['crons'] !== false
}
