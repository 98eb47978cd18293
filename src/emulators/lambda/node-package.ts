import { mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'

import type { BuildOptions, Plugin } from 'esbuild'

import { openBundle } from '../../build/bundle.ts'
import type { PackagedFile, PackageOptions } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import type { Definition } from './definition.ts'
import { splitHandler, type HandlerFile } from './handler-file.ts'
import { moduleFormat } from './module-format.ts'
import { bringsRequire, withBuildSettings } from './node-build-settings.ts'
import { carriedPackages, type Carried } from './node-carried.ts'
import { compiledPath, shipSettings, withRequire, type ShipOptions } from './node-bundle.ts'

/** Writes what a deployment would ship: one bundle under the handler's name, and its source map. */
export async function packageNode(
  handler: HandlerFile,
  definition: Definition,
  { directory, complete }: PackageOptions & { readonly directory: AbsolutePath },
): Promise<readonly PackagedFile[]> {
  const { taskRoot, options } = definition
  const format = options.esbuild?.format ?? moduleFormat(handler.file)
  const { esbuild, carried } = settingsOf({ file: handler.file, format, complete }, definition)
  await using bundle = await openBundle({ entry: handler.file, directory: taskRoot, esbuild })
  const result = await bundle.build()
  await carried?.copyTo(directory)
  const inputs = result.inputs.map((input) => relative(taskRoot, input))
  const extension = format === 'esm' ? '.mjs' : '.js'
  const { module } = splitHandler(options.handler, false)
  const stem = join(dirname(module || options.handler), moduleName(module, handler.file))
  const compiled = basename(compiledPath(handler.file, format))
  return Promise.all(
    result.files.map(async ({ path, contents }) => {
      const map = path.endsWith('.map')
      const target = `${stem}${extension}${map ? '.map' : ''}`
      const code = Buffer.from(contents).toString()
      const isModule = format === 'esm' && !map && !bringsRequire(options.esbuild)
      const text = (isModule ? withRequire(code) : code).replace(
        `sourceMappingURL=${compiled}.map`,
        `sourceMappingURL=${basename(stem)}${extension}.map`,
      )
      await mkdir(dirname(join(directory, target)), { recursive: true })
      await writeFile(join(directory, target), text)
      return { path: target, bytes: Buffer.byteLength(text), inputs: map ? [] : inputs }
    }),
  )
}

function settingsOf(
  ship: Omit<ShipOptions, 'opt'>,
  { options, opt }: Definition,
): { readonly esbuild: BuildOptions; readonly carried: Carried | undefined } {
  const settings = shipSettings({ ...ship, opt: opt?.directory })
  const said = options.esbuild
  if (ship.complete !== true) return { esbuild: withBuildSettings(settings, said), carried: undefined }
  const carried = carriedPackages(said?.external ?? [])
  const esbuild = withBuildSettings(withPlugin(settings, carried.plugin), { ...said, external: [] })
  return { esbuild, carried }
}

function withPlugin(settings: BuildOptions, plugin: Plugin): BuildOptions {
  return { ...settings, plugins: [plugin, ...(settings.plugins ?? [])] }
}

function moduleName(module: string, file: string): string {
  return module === '' ? basename(file).replace(/\.[^.]+$/, '') : basename(module)
}
