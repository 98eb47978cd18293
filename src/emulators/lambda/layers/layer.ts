import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'

import { buildError } from '../../../build/bundle.ts'
import type { FlexiError } from '../../../core/errors.ts'
import type { FunctionConfig } from '../../../core/function.ts'
import type { AbsolutePath, Place } from '../../../core/place.ts'
import { settingsOf } from '../service/function-settings.ts'

/** What one layer brings, by its path below `/opt`. */
export type LayerEntries = Map<string, LayerEntry>

export type LayerEntry =
  | { readonly kind: 'folder' }
  /** `target` is relative to the folder of the link, and stays inside of the layer. */
  | { readonly kind: 'link'; readonly target: string; readonly layer: Layer }
  | { readonly kind: 'file'; readonly bytes: number; write(target: string): Promise<void> }

/** A folder or a zip file that is put below `/opt`. */
export interface Layer {
  /** As its file names it. */
  readonly name: string
  readonly path: AbsolutePath
  /** Of the function it belongs to, for messages. */
  readonly owner: string
  readonly origin: Place
}

const ARN = /^arn:aws[\w-]*:lambda:/

/** The layers of a function that can be here, and the ARNs of those that cannot. */
export function layersOf(config: FunctionConfig): {
  readonly layers: readonly Layer[]
  readonly absent: readonly string[]
} {
  const names = settingsOf(config).layers ?? []
  const absent = names.filter((name) => ARN.test(name))
  const layers = names
    .filter((name) => !ARN.test(name))
    .map((name) => ({
      name,
      path: resolve(config.directory, name) as AbsolutePath,
      owner: config.name,
      origin: config.origin,
    }))
  return { layers, absent }
}

export type LayerKind = 'folder' | 'zip'

/** @throws FlexiError FLEXI_BUILD when it is not there, or neither a folder nor a zip file. */
export async function layerKind(layer: Layer): Promise<LayerKind> {
  const found = await stat(layer.path).catch(() => undefined)
  if (found === undefined)
    throw layerFault(layer, `is not there: ${layer.path}`, 'Correct its path, or build it.')
  if (found.isDirectory()) return 'folder'
  if (!found.isFile()) throw layerFault(layer, 'is neither a folder nor a zip file', 'Name one of the two.')
  return 'zip'
}

export function layerFault({ owner, name, origin }: Layer, message: string, hint: string): FlexiError {
  return buildError([{ place: origin, message: `${owner}: the layer ${name} ${message}`, hint }])
}

/** The same layers in the same order, whatever is in them. */
export function layerSetKey(layers: readonly Layer[]): string {
  const hash = createHash('sha256')
  for (const { path } of layers) hash.update(`${path}\n`)
  return hash.digest('hex').slice(0, 12)
}
