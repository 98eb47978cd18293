import type { AppOptions } from '../app.ts'
import type { Logger } from '../core/log.ts'
import type { Project } from '../core/project.ts'
import type { EffectiveSettings } from '../config/settings.ts'
import type { GatewayOptions } from '../gateway/gateway.ts'
import { flexilibAnswers } from './flexilib.ts'

interface ListeningOptions {
  readonly settings: Pick<EffectiveSettings, 'host' | 'port'>
  readonly server: Project['server']
  readonly log: Logger
}

/** What a gateway is told by flags, environment and files alone. */
export function listening(
  { mode, directory, fd, only }: Pick<AppOptions, 'mode' | 'directory' | 'fd' | 'only'>,
  { settings, server, log }: ListeningOptions,
): Omit<GatewayOptions, 'table' | 'log' | 'onAccess'> {
  return {
    host: settings.host,
    port: settings.port,
    mode,
    directory,
    fd,
    trustedProxies: server.trustedProxies,
    paths: server.paths,
    ...(only === undefined ? {} : flexilibAnswers(log)),
  }
}
