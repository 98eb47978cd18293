import type { CorsOptions } from '../front-ends/route-options.ts'
import { corsOf, mapOf } from './api-settings.ts'
import { valueOf } from './intrinsics.ts'
import type { Template } from './template.ts'
import type { ValueMap } from './value.ts'
import { asText } from './value.ts'
import type { YamlNode } from './yaml-file.ts'

/** What an OPTIONS method that no function answers says: CDK's `defaultCorsPreflightOptions` writes such ones. Undefined for any other. */
export function mockedCors(method: YamlNode | undefined, template: Template): CorsOptions | undefined {
  const { HttpMethod, Integration } = mapOf(method === undefined ? undefined : valueOf(method, template))
  const { Type, IntegrationResponses } = mapOf(Integration)
  if (HttpMethod !== 'OPTIONS' || Type !== 'MOCK' || !Array.isArray(IntegrationResponses)) return undefined
  const answer = mapOf(IntegrationResponses[0])
  const fields = new Map(
    Object.entries(mapOf(answer['ResponseParameters'])).map(([name, value]) => [name.toLowerCase(), value]),
  )
  const field = (name: string) => fields.get(`${FIELD}${name}`)
  const origin = field('origin')
  if (origin === undefined) return undefined
  const cors = corsOf(
    {
      AllowMethods: field('methods') ?? null,
      AllowHeaders: field('headers') ?? null,
      MaxAge: fields.get(MAX_AGE) ?? null,
      AllowCredentials: field('credentials') ?? null,
    },
    {},
  )
  return { ...cors, allowOrigins: [asText(origin).replaceAll("'", ''), ...otherOrigins(answer)] }
}

const FIELD = 'method.response.header.access-control-allow-'
const MAX_AGE = 'method.response.header.access-control-max-age'

/** Further origins are compared in a template, which answers with the one that asked. */
function otherOrigins(answer: ValueMap): string[] {
  const texts = Object.values(mapOf(answer['ResponseTemplates'])).map(asText)
  return texts.flatMap((text) => [...text.matchAll(/\$origin\s*==\s*"([^"]+)"/g)].map(([, one = '']) => one))
}
