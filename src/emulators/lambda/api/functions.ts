import type { ApiFunction, ApiHost } from '../../../core/function.ts'
import { functionArn, region, VERSION } from '../definition.ts'
import { notFound } from './api-error.ts'
import { parseFunctionName, type FunctionReference } from './function-name.ts'

export interface FoundFunction extends FunctionReference {
  readonly served: ApiFunction
}

/** The functions of the project, as the API finds them. */
export class Functions {
  readonly host: ApiHost
  readonly #environment: Readonly<Record<string, string | undefined>>

  /** `environment` is the server's own: where nothing else says it, the region is there. */
  constructor(host: ApiHost, environment: Readonly<Record<string, string | undefined>>) {
    this.host = host
    const { AWS_REGION, AWS_DEFAULT_REGION } = environment
    this.#environment = { AWS_REGION, AWS_DEFAULT_REGION }
  }

  /** Without qualifier. */
  arn(served: ApiFunction): string {
    const { name, environment } = served.config
    return functionArn(name, region({ ...this.#environment, ...environment }))
  }

  /**
   * There are no versions and no aliases here: what runs is `$LATEST`.
   * `implied` is the qualifier that the message names when the caller gave none: invocations always mean a version.
   * @throws ApiError ResourceNotFoundException, or what `parseFunctionName` throws.
   */
  find(text: string, qualifier?: string, implied?: typeof VERSION): FoundFunction {
    const reference = parseFunctionName(text, qualifier)
    const served = this.host.find(reference.name)
    const asked = reference.qualifier ?? implied
    if (served === undefined || (asked !== undefined && asked !== VERSION)) {
      const arn = functionArn(reference.name, region(this.#environment))
      throw notFound(`Function not found: ${asked === undefined ? arn : `${arn}:${asked}`}`)
    }
    return { ...reference, served }
  }
}
