import { access } from 'node:fs/promises'
import { join } from 'node:path'

import type { ApiHost } from '../../../core/function.ts'
import { hasKeptEvents } from '../async/kept.ts'
import { settingsOf } from '../service/function-settings.ts'

/** Whether Lambda's API has something to do that no request asks for. Loads nothing of it. */
export async function isApiWanted(host: ApiHost): Promise<boolean> {
  const asks = host.functions().some(({ config }) => {
    const { sources, reservedConcurrency } = settingsOf(config)
    return (sources !== undefined && sources.length > 0) || reservedConcurrency !== undefined
  })
  if (asks || host.resources().length > 0) return true
  return (
    (await exists(join(host.stateDirectory, 'lambda', 'state.json'))) || hasKeptEvents(host.stateDirectory)
  )
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
