import { invalidParameter } from './api-error.ts'
import type { FindLayers } from './configuration-input.ts'
import type { Deployments } from './deployments.ts'
import { entryOf, type LayerState } from './state.ts'

const LAYERS_MAX = 5

export interface LayerVersion {
  readonly name: string
  readonly number: number
  readonly layer: LayerState
}

/** Layers that were published through the API, with their versions. */
export class Layers {
  readonly #deployments: Deployments

  constructor(deployments: Deployments) {
    this.#deployments = deployments
  }

  /** Every layer that has a version, with its last one. */
  latest(): readonly LayerVersion[] {
    const { layers } = this.#deployments.functions.store.state
    return Object.keys(layers).flatMap((name) => this.versions(name).slice(-1))
  }

  /** In the order they were published. */
  versions(name: string): readonly LayerVersion[] {
    return this.#all(name).flatMap((layer, index) =>
      layer === null ? [] : [{ name, number: index + 1, layer }],
    )
  }

  version(name: string, number: number): LayerVersion | undefined {
    const layer = this.#all(name)[number - 1]
    return layer === undefined || layer === null ? undefined : { name, number, layer }
  }

  async add(name: string, layer: LayerState): Promise<LayerVersion> {
    const versions = [...this.#all(name), layer]
    await this.#keep(name, versions)
    return { name, number: versions.length, layer }
  }

  /** Functions that have it keep it: its files stay. */
  async remove(name: string, number: number): Promise<void> {
    const versions = this.#all(name)
    if (versions.length === 0) return
    await this.#keep(
      name,
      versions.map((layer, index) => (index === number - 1 ? null : layer)),
    )
  }

  arn(name: string): string {
    return this.#deployments.functions.arnOf(`layer:${name}`)
  }

  /** @throws ApiError InvalidParameterValueException for one that is not there. */
  readonly find: FindLayers = (arns) => {
    if (arns.length > LAYERS_MAX) throw invalidParameter(`Cannot reference more than ${LAYERS_MAX} layers.`)
    const found = arns.map((arn) => {
      const reference = parseLayerArn(arn)
      const version = reference === undefined ? undefined : this.version(reference.name, reference.number)
      if (version !== undefined) return { arn, code: version.layer.code }
      throw invalidParameter(
        `Layer version ${arn} does not exist: publish it here first, or name its folder in the project's files.`,
      )
    })
    return {
      paths: found.map(({ code }) => this.#deployments.codes.pathOf(code)),
      shown: found.map(({ arn, code }) => ({ Arn: arn, CodeSize: code.bytes })),
    }
  }

  #all(name: string): readonly (LayerState | null)[] {
    return entryOf(this.#deployments.functions.store.state.layers, name) ?? []
  }

  async #keep(name: string, versions: readonly (LayerState | null)[]): Promise<void> {
    await this.#deployments.functions.store.change((state) => ({
      ...state,
      layers: { ...state.layers, [name]: versions },
    }))
  }
}

/** `arn:aws:lambda:us-east-1:123456789012:layer:common:3` */
export function parseLayerArn(arn: string): { readonly name: string; readonly number: number } | undefined {
  const [, name, number] = /:layer:([^:]+):(\d+)$/.exec(arn) ?? []
  return name === undefined ? undefined : { name, number: Number(number) }
}

/** A layer is named by its name or its ARN. */
export function layerName(text: string): string {
  return /:layer:([^:]+)/.exec(text)?.[1] ?? text
}
