import type { ValidationOptions } from '../front-ends/route-options.ts'
import { mapOf, textOrNone } from './api-settings.ts'
import { settled, textOf, valueOf } from './intrinsics.ts'
import { valueIn, type Service } from './service.ts'
import { withoutNone } from './source-values.ts'
import type { Template } from './template.ts'
import type { Value, ValueMap } from './value.ts'
import { at } from './variables.ts'
import type { YamlNode } from './yaml-file.ts'

/** serverless.yml: `request` of an `http` event. The framework makes a validator for it as soon as it asks for something. */
export function serverlessValidation(
  request: Value | undefined,
  service: Service,
): ValidationOptions | undefined {
  const { parameters, schemas } = mapOf(request)
  const named = mapOf(valueIn(service, at(service.source, 'provider', 'apiGateway', 'request', 'schemas')))
  const models = Object.entries(mapOf(schemas)).map(([type, said]) => {
    const meant = typeof said === 'string' ? (named[said] ?? said) : said
    return [type, schemaOf(mapOf(meant)['schema'] ?? meant)] as const
  })
  return validation(
    Object.entries(PLACES).flatMap(([place, from]) => requiredOf(mapOf(mapOf(parameters)[place]), from)),
    models,
  )
}

const PLACES = { querystrings: 'querystring', headers: 'header', paths: 'path' } as const

/** `{ url: true, page: { required: true } }` */
function requiredOf(parameters: ValueMap, from: string): string[] {
  const required = Object.entries(parameters).filter(([, said]) =>
    isMap(said) ? textOrNone(said['required']) !== 'false' : textOrNone(said) === 'true',
  )
  return required.map(([name]) => `${from}.${name}`)
}

/** SAM: `RequestModel` and `RequestParameters` of an `Api` event; `models` are the API's. Only what it says to validate is. */
export function samValidation(
  event: YamlNode,
  models: YamlNode | undefined,
  template: Template,
): ValidationOptions | undefined {
  const model = settled(event.at('Properties', 'RequestModel'), template)
  const says = (name: string): boolean => textOf(model?.get(name), template) === 'true'
  const name = textOf(model?.get('Model'), template)
  const schema = name === undefined ? undefined : models?.get(name)
  return validation(
    says('ValidateParameters') ? samParameters(event, template) : [],
    says('ValidateBody') && schema !== undefined
      ? [['application/json', schemaOf(valueOf(schema, template))]]
      : [],
  )
}

/** `method.request.header.X: { Required: true }`; what stands alone need not be there. */
function samParameters(event: YamlNode, template: Template): string[] {
  const said = settled(event.at('Properties', 'RequestParameters'), template)?.items() ?? []
  return said.flatMap((item) =>
    item
      .entries()
      .filter(([, settings]) => textOf(settings.get('Required'), template) === 'true')
      .map(([name]) => shortName(name)),
  )
}

/** CloudFormation: a Method whose validator, models and parameters are resources and properties of their own. */
export function methodValidation(
  method: YamlNode | undefined,
  template: Template,
): ValidationOptions | undefined {
  const validator = resourceOf(textOf(method?.get('RequestValidatorId'), template), template)
  const says = (name: string): boolean => textOf(validator?.get(name), template) === 'true'
  const parameters = settled(method?.get('RequestParameters'), template)?.entries() ?? []
  const models = settled(method?.get('RequestModels'), template)?.entries() ?? []
  return validation(
    says('ValidateRequestParameters')
      ? parameters.filter(([, one]) => textOf(one, template) === 'true').map(([name]) => shortName(name))
      : [],
    says('ValidateRequestBody')
      ? models.map(([type, one]) => {
          const schema = resourceOf(textOf(one, template), template)?.get('Schema')
          return [type, schema === undefined ? undefined : schemaOf(valueOf(schema, template))]
        })
      : [],
  )
}

function resourceOf(id: string | undefined, template: Template): YamlNode | undefined {
  return id === undefined ? undefined : template.root.at('Resources', id, 'Properties')
}

/** `method.request.header.X` → `header.X` */
function shortName(name: string): string {
  return name.replace(/^method\.request\./, '')
}

type Schema = ValueMap

function isMap(value: unknown): value is ValueMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A schema, or its JSON. */
function schemaOf(value: Value | undefined): Schema | undefined {
  if (isMap(value)) return value
  try {
    const parsed: unknown = JSON.parse(textOrNone(value) ?? '')
    return isMap(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

function validation(
  parameters: readonly string[],
  models: readonly (readonly [type: string, schema: Schema | undefined])[],
): ValidationOptions | undefined {
  const known = models.filter((one): one is readonly [string, Schema] => one[1] !== undefined)
  if (parameters.length === 0 && known.length === 0) return undefined
  return withoutNone<ValidationOptions>({
    parameters: parameters.length === 0 ? undefined : parameters,
    models: known.length === 0 ? undefined : Object.fromEntries(known),
  })
}
