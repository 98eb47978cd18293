import { homedir } from 'node:os'
import { join } from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>

/** Of the user, for data: the XDG base directory rules on Linux, what is usual elsewhere. */
export function dataDirectory(environment: Environment, platform: NodeJS.Platform): string {
  return directory(environment, platform, { variable: 'XDG_DATA_HOME', usual: ['.local', 'share'] })
}

/** Of the user, for settings. */
export function configurationDirectory(environment: Environment, platform: NodeJS.Platform): string {
  return directory(environment, platform, { variable: 'XDG_CONFIG_HOME', usual: ['.config'] })
}

function directory(
  environment: Environment,
  platform: NodeJS.Platform,
  { variable, usual }: { readonly variable: string; readonly usual: readonly string[] },
): string {
  const named = environment[variable]
  if (named !== undefined && named.startsWith('/')) return named
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support')
  if (platform === 'win32') return environment['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local')
  return join(homedir(), ...usual)
}
