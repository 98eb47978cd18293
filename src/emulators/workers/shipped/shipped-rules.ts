import { FlexiError } from '../../../core/errors.ts'
import type { FunctionConfig } from '../../../core/function.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import { assetsDirectory, blobPath } from '../bindings.ts'
import type { Config } from '../configuration.ts'
import { insideOf } from './shipped-program.ts'

/**
 * What the configuration of a deployed worker may not ask for. It is read by a process that may do more than whoever deployed it: nothing
 * in it starts a program, loads a package or names a file outside its folder.
 * @throws FlexiError FLEXI_CONFIG
 */
export async function checkShipped(config: Config, directory: AbsolutePath): Promise<void> {
  if (config.build.command !== undefined)
    throw refused('a build command', 'Deploy the folder of the project: "flexi deploy" builds it first.')
  const plugin = (config.unsafe.bindings ?? []).find(({ dev }) => dev !== undefined)
  if (plugin !== undefined)
    throw refused(
      `the unsafe binding ${plugin.name}, which a package of the project implements`,
      'Take it out of "unsafe.bindings".',
    )
  const inside = await insideOf(directory)
  const assets = assetsDirectory(config)
  const blobs = [config.wasm_modules, config.text_blobs, config.data_blobs].flatMap((record) =>
    Object.values(record ?? {}).map(blobPath),
  )
  for (const path of [...(assets === undefined ? [] : [assets]), ...blobs]) await inside(path)
}

function refused(what: string, hint: string): FlexiError {
  return new FlexiError('FLEXI_CONFIG', `a deployed worker cannot have ${what}`, { hint })
}

const CONNECTION_STRING = /^(?:CLOUDFLARE|WRANGLER)_HYPERDRIVE_LOCAL_CONNECTION_STRING_/

/** Of the function's environment what bindings may be made of; the shell's belongs to somebody else, and no variable names a file to read. */
export function shippedEnvironment({
  environment,
}: Pick<FunctionConfig, 'environment'>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => CONNECTION_STRING.test(name)))
}
