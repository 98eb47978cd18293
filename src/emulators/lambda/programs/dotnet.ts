import { existsSync } from 'node:fs'
import { join } from 'node:path'

import type { AbsolutePath } from '../../../core/place.ts'
import type { Definition } from '../definition.ts'
import { findProgram } from '../find-program.ts'
import { filesIn } from './files-under.ts'
import { installationOf } from './installation.ts'
import { missingTool, type Program } from './program.ts'
import { versionOf } from './version-of.ts'

const SUPPORT = 'Amazon.Lambda.RuntimeSupport.dll'

/**
 * A handler of .NET, as `dotnet publish` left it: an executable assembly (`handler` is its name), or a class library
 * (`Assembly::Namespace.Class::Method`), which AWS's own runtime support loads.
 * @throws FlexiError FLEXI_TOOL_MISSING.
 */
export async function prepareDotnet(definition: Definition): Promise<Program> {
  const { name, options, taskRoot } = definition
  const { handler } = options
  const [assembly = ''] = handler.split('::')
  const dotnet = findProgram(['dotnet'], process.env['PATH'])
  if (dotnet === undefined) {
    throw missingTool(
      name,
      'dotnet, which is not in PATH',
      'Install .NET: https://dotnet.microsoft.com/download',
    )
  }
  const folder = folderOf(taskRoot, assembly, options.runtime ?? 'dotnet8')
  if (folder === undefined) {
    throw missingTool(
      name,
      `${assembly}.dll, which was not published`,
      `Run in ${taskRoot}: dotnet publish -c Release -o .`,
    )
  }
  const isLibrary = handler.includes('::')
  if (isLibrary && !existsSync(join(folder, SUPPORT))) {
    const hint = `Run in ${taskRoot}: dotnet add package Amazon.Lambda.RuntimeSupport && dotnet publish -c Release -o .`
    throw missingTool(name, `${SUPPORT} beside its assembly`, hint)
  }
  const own = join(folder, assembly)
  const library = ['exec', '--depsfile', `${own}.deps.json`, '--runtimeconfig', `${own}.runtimeconfig.json`, join(folder, SUPPORT), handler] // prettier-ignore
  return {
    runtime: options.runtime ?? 'dotnet8',
    version: await versionOf(dotnet, ['--version'], /^(\d+\.\d+\.\d+)/m),
    command: dotnet,
    readable: installationOf(dotnet),
    args: isLibrary ? library : [`${own}.dll`],
    inputs: filesIn(folder, '.dll'),
    environment: { DOTNET_NOLOGO: '1', HOME: process.env['HOME'] ?? '/tmp' },
    handler,
    waitsToLoad: false,
  }
}

function folderOf(taskRoot: string, assembly: string, runtime: string): AbsolutePath | undefined {
  const framework = `net${/(\d+)/.exec(runtime)?.[1] ?? '8'}.0`
  const build = ['Release', 'Debug'].map((kind) => join('bin', kind, framework))
  const folders = [
    '',
    ...build.flatMap((each) => [join(each, 'publish'), join(each, 'linux-x64', 'publish'), each]),
  ]
  return folders
    .map((folder) => join(taskRoot, folder) as AbsolutePath)
    .find((folder) => existsSync(join(folder, `${assembly}.dll`)))
}
