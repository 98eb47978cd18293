import { resolve } from 'node:path'

import { FlexiError } from '../../core/errors.ts'
import type { FunctionConfig } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { findConfig } from './detect.ts'
import { createSettingsReader, type SettingsOptions, type SettingsReader } from './settings.ts'
import { checkOptions } from './worker-options.ts'

/** The reader of what a function is configured with. @throws FlexiError FLEXI_CONFIG for its options; FLEXI_NO_INPUT without a wrangler file. */
export async function openSettings(
  config: FunctionConfig,
  print?: SettingsOptions['print'],
): Promise<SettingsReader> {
  const { config: path, env } = checkOptions(config)
  const file =
    path === undefined
      ? await findConfig(config.directory)
      : (resolve(config.directory, path) as AbsolutePath)
  if (file !== undefined) return createSettingsReader({ file, env, config, print })
  throw new FlexiError('FLEXI_NO_INPUT', `${config.name}: ${config.directory} has no wrangler file`, {
    hint: 'Create wrangler.jsonc, or name one in "config".',
  })
}
