import type { ServerSettings } from '../core/project.ts'

/**
 * A sentence on what changed in `server` and is not taken over while flexi runs; undefined when all is.
 * Certificates are: only whether HTTPS is spoken at all is settled at the start.
 */
export function needsRestart(started: ServerSettings, read: ServerSettings): string | undefined {
  const changed = Object.entries(SETTLED).flatMap(([name, settingOf]) =>
    JSON.stringify(settingOf(started)) === JSON.stringify(settingOf(read)) ? [] : [`server.${name}`],
  )
  if (changed.length === 0) return undefined
  const verb = changed.length === 1 ? 'takes' : 'take'
  return `${changed.join(', ')} ${verb} effect when flexi is started again`
}

/** By their names in flexi.jsonc. */
const SETTLED: Readonly<Record<string, (settings: ServerSettings) => unknown>> = {
  port: ({ port }) => port,
  host: ({ host }) => host,
  https: ({ https }) => https !== undefined,
  trusted_proxies: ({ trustedProxies }) => trustedProxies,
  paths: ({ paths }) => paths,
}

/** Says it once for each change, however often the files are read. */
export function restartReminder(
  started: ServerSettings,
  warn: (message: string) => void,
): (read: ServerSettings) => void {
  let said: string | undefined
  return (read) => {
    const message = needsRestart(started, read)
    if (message !== undefined && message !== said) warn(message)
    said = message
  }
}
