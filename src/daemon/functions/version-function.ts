import type { FunctionConfig } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import type { VersionRecord } from '../model.ts'

/** A version as an emulator is given it: as a function of a project whose directory is the unpacked artifact. */
export function versionFunction(
  record: VersionRecord,
  directory: AbsolutePath,
  environment: Readonly<Record<string, string>>,
): FunctionConfig {
  const { config } = record
  return {
    name: record.name,
    provider: config.provider,
    directory,
    origin: { file: `${record.name}@${record.version}`, line: 1, column: 1 },
    environment,
    timeoutMs: config.timeoutMs,
    memoryMb: config.memoryMb,
    options: config.provider === 'process' ? processOptions(record) : config.options,
  }
}

/** What its files say, then what was set for the function, then what YFASS's section sets or takes away. */
export function versionEnvironment(
  { config }: VersionRecord,
  { state, variables }: { readonly state: string; readonly variables: Readonly<Record<string, string>> },
): Readonly<Record<string, string>> {
  // A program has no other way to learn where it may keep something.
  const told = config.provider === 'process' ? { FLEXI_STATE_DIR: state } : {}
  const environment: Record<string, string> = { ...told, ...config.environment, ...variables }
  for (const [name, value] of Object.entries(config.sandbox.envs)) {
    if (value === null) delete environment[name]
    else environment[name] = value
  }
  return environment
}

/** YFASS names its program in the section of the sandbox, and where it listens as `ip:port`. */
function processOptions({ config }: VersionRecord): FunctionConfig['options'] {
  const { options, sandbox, addr } = config
  if (options['command'] !== undefined || sandbox.command === '') return options
  const port = Number(addr.slice(addr.lastIndexOf(':') + 1))
  return {
    ...options,
    command: sandbox.command,
    args: sandbox.args,
    ...(port === 0 ? {} : { listen: port }),
  }
}
