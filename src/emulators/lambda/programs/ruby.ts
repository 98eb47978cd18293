import { existsSync } from 'node:fs'
import { join } from 'node:path'

import type { Definition } from '../definition.ts'
import { findProgram } from '../find-program.ts'
import { filesUnder } from './files-under.ts'
import { installationOf } from './installation.ts'
import { missingTool, type Program } from './program.ts'
import { versionOf, warnOfVersion } from './version-of.ts'

const CLIENT = 'aws_lambda_ric'

/** A handler in Ruby, run by AWS's own runtime client. @throws FlexiError FLEXI_TOOL_MISSING. */
export async function prepareRuby(definition: Definition): Promise<Program> {
  const { name, options, taskRoot } = definition
  const path = process.env['PATH']
  const ruby = findProgram([options.runtime ?? 'ruby', 'ruby'], path)
  if (ruby === undefined) {
    const hint = `Install Ruby ("apt install ruby" or "brew install ruby"), then run: gem install ${CLIENT}`
    throw missingTool(name, 'ruby, which is not in PATH', hint)
  }
  const client = clientOf(taskRoot, path)
  if (client === undefined) {
    throw missingTool(name, `the gem ${CLIENT}, which is not installed`, `Run: gem install ${CLIENT}`)
  }
  const version = await versionOf(ruby, ['--version'], /ruby (\d+\.\d+\.\d+)/)
  const wanted = options.runtime ?? 'ruby'
  if (!`ruby${version}.`.startsWith(`${wanted}.`)) warnOfVersion(definition, wanted, `ruby ${version}`)
  return {
    runtime: wanted,
    version,
    command: client[0],
    readable: [...installationOf(ruby), ...installationOf(client[0]), ...gemFolders()],
    args: [...client.slice(1), options.handler],
    inputs: filesUnder(taskRoot, ['.rb']),
    environment: environmentOf(definition),
    handler: options.handler,
    waitsToLoad: false,
  }
}

/** Of the function's own bundle, then of the machine. */
function clientOf(taskRoot: string, path: string | undefined): readonly [string, ...string[]] | undefined {
  const bundle = findProgram(['bundle'], path)
  if (bundle !== undefined && existsSync(join(taskRoot, 'Gemfile.lock'))) return [bundle, 'exec', CLIENT]
  const client = findProgram([CLIENT], path)
  return client === undefined ? undefined : [client]
}

function gemFolders(): readonly string[] {
  const folders = [process.env['GEM_HOME'], ...(process.env['GEM_PATH'] ?? '').split(':')]
  return folders.filter((folder) => folder !== undefined && folder !== '' && existsSync(folder)) as string[]
}

/** Where gems are is part of the machine; the rest of its environment stays out. */
function environmentOf({ environment }: Definition): Record<string, string> {
  const names = ['GEM_HOME', 'GEM_PATH', 'HOME'].filter((each) => environment[each] === undefined)
  return Object.fromEntries(
    names.flatMap((each) => (process.env[each] === undefined ? [] : [[each, process.env[each]]])),
  )
}
