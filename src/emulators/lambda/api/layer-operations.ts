import { pathToFileURL } from 'node:url'

import { queried, type ApiCall } from './api-call.ts'
import { invalidParameter, notFound } from './api-error.ts'
import type { ApiParts, Changes, Queries } from './api-parts.ts'
import type { Input } from './input.ts'
import { layerName, parseLayerArn, type Layers, type LayerVersion } from './layers.ts'
import { page } from './paging.ts'
import type { LayerState } from './state.ts'

const NAME = /^[a-zA-Z0-9-_]{1,140}$/

export function layerQueries(parts: ApiParts, layers: Layers): Queries {
  const shownAt = (name: string, number: number): object => {
    const version = layers.version(name, number)
    if (version === undefined) throw notFound('The resource you requested does not exist.')
    return shown(parts, layers, version)
  }
  return {
    // GetLayerVersionByArn has the same path.
    ListLayers: (call) => {
      const wanted = parseLayerArn(queried(call, 'Arn') ?? '')
      if (wanted !== undefined) return shownAt(wanted.name, wanted.number)
      const { items, next } = page(call, layers.latest(), ({ name }) => name)
      const found = items.map((version) => ({
        LayerName: version.name,
        LayerArn: layers.arn(version.name),
        LatestMatchingVersion: listed(layers, version),
      }))
      return { Layers: found, NextMarker: next }
    },
    ListLayerVersions: (call) => {
      const all = layers.versions(nameIn(call)).toReversed()
      const { items, next } = page(call, all, ({ number }) => String(number))
      return { LayerVersions: items.map((version) => listed(layers, version)), NextMarker: next }
    },
    GetLayerVersion: (call) => shownAt(nameIn(call), Number(call.parameters[1])),
  }
}

export function layerChanges(parts: ApiParts, layers: Layers): Changes {
  return {
    PublishLayerVersion: async (call, input) => {
      const name = nameIn(call)
      if (!NAME.test(name)) throw invalidParameter(`${name} cannot be the name of a layer.`)
      return shown(parts, layers, await layers.add(name, await newLayer(parts, input)))
    },
    DeleteLayerVersion: async (call) => {
      await layers.remove(nameIn(call), Number(call.parameters[1]))
    },
  }
}

function nameIn(call: ApiCall): string {
  return layerName(call.parameters[0] ?? '')
}

async function newLayer({ deployments, now }: ApiParts, input: Input): Promise<LayerState> {
  const zip = input.child('Content')?.text('ZipFile')
  if (zip === undefined) throw invalidParameter('flexi has no S3 to take a layer from: send it as ZipFile.')
  return {
    code: await deployments.codes.addZip(Buffer.from(zip, 'base64')),
    description: input.text('Description') ?? '',
    createdAt: now(),
    runtimes: input.texts('CompatibleRuntimes') ?? [],
    architectures: input.texts('CompatibleArchitectures') ?? [],
    license: input.text('LicenseInfo'),
  }
}

function shown({ deployments }: ApiParts, layers: Layers, version: LayerVersion): object {
  const { code } = version.layer
  return {
    Content: {
      Location: pathToFileURL(deployments.codes.pathOf(code)).href,
      CodeSha256: code.sha256,
      CodeSize: code.bytes,
    },
    LayerArn: layers.arn(version.name),
    ...listed(layers, version),
  }
}

function listed(layers: Layers, { name, number, layer }: LayerVersion): object {
  return {
    LayerVersionArn: `${layers.arn(name)}:${number}`,
    Version: number,
    Description: layer.description,
    CreatedDate: new Date(layer.createdAt).toISOString().replace('Z', '+0000'),
    CompatibleRuntimes: layer.runtimes,
    CompatibleArchitectures: layer.architectures,
    LicenseInfo: layer.license,
  }
}
