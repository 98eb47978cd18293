import { join } from 'node:path'

import { FlexiError } from '../../core/errors.ts'
import type { FunctionConfig } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import { configFileOf } from './detect.ts'
import { CONFIG_FILE } from './shipped/shipped-files.ts'
import { createSettingsReader, type SettingsOptions, type SettingsReader } from './settings.ts'
import { checkOptions } from './worker-options.ts'

/** The wrangler file that a person wrote, and its environment. @throws FlexiError FLEXI_CONFIG for the options; FLEXI_NO_INPUT without a file. */
export async function wranglerFileOf(
  config: FunctionConfig,
): Promise<{ readonly file: AbsolutePath; readonly env: string | undefined }> {
  const { env, shipped } = checkOptions(config)
  if (shipped === true) return { file: join(config.directory, CONFIG_FILE) as AbsolutePath, env: undefined }
  const file = await configFileOf(config)
  if (file !== undefined) return { file, env }
  throw new FlexiError('FLEXI_NO_INPUT', `${config.name}: ${config.directory} has no wrangler file`, {
    hint: 'Create wrangler.jsonc, or name one in "config".',
  })
}

/** The reader of what a function is configured with. @throws FlexiError as `wranglerFileOf`. */
export async function openSettings(
  config: FunctionConfig,
  print?: SettingsOptions['print'],
): Promise<SettingsReader> {
  const isShipped = config.options['shipped'] === true
  return createSettingsReader({ ...(await wranglerFileOf(config)), config, print, isShipped })
}
