import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

import { warn } from './findings.ts'
import { settled, textOf } from './intrinsics.ts'
import type { SettingScope } from './invoke-config.ts'
import { reference } from './references.ts'
import { resourcesOf, typeOf } from './template.ts'
import { asText } from './value.ts'
import type { YamlNode } from './yaml-file.ts'

interface LayerScope extends SettingScope {
  readonly file: string
}

const LAYER = /^AWS::(Serverless|Lambda)::LayerVersion$/

/** Folders and zip files of the layers that a function names. A layer of the cloud is told. */
export function layersOf(node: YamlNode | undefined, scope: LayerScope): string[] {
  return (node?.items() ?? []).flatMap((item) => {
    const path = layerPath(item, scope)
    return path === undefined ? [] : [path]
  })
}

function layerPath(item: YamlNode, scope: LayerScope): string | undefined {
  const { template, findings, function: name } = scope
  const arn = textOf(settled(item, template), template)
  if (arn === undefined) return undefined
  const found = resourcesOf(template.root).find(
    ([id, one]) => LAYER.test(typeOf(one)) && asText(reference(id, template, one)) === arn,
  )
  const path = found === undefined ? undefined : contentOf(found[0], found[1], scope)
  if (path === undefined)
    warn(findings, item, `${name}: the layer ${arn} is in no folder of yours; it is not there`, HINT)
  return path
}

const HINT = 'Put what it holds into a folder, and declare a layer of that folder.'

/** What `sam build` made of it, where it has to be built; otherwise as it lies there. */
function contentOf(id: string, resource: YamlNode, scope: LayerScope): string | undefined {
  const { template, findings, file } = scope
  const folder = dirname(file)
  const isBuilt = textOf(resource.at('Metadata', 'BuildMethod'), template) !== undefined
  const built = join(folder, '.aws-sam', 'build', id)
  if (isBuilt && existsSync(built)) return built
  const content = resource.at('Properties', 'ContentUri') ?? resource.at('Properties', 'Content')
  const said = textOf(resource.at('Metadata', 'aws:asset:path') ?? content, template)
  if (said === undefined || /^(s3|https?):\/\//.test(said)) return undefined
  const path = resolve(folder, said)
  if (isBuilt)
    warn(findings, resource, `the layer ${id} is not built: its source is taken as it is`, 'Run sam build.')
  return existsSync(path) ? path : undefined
}
