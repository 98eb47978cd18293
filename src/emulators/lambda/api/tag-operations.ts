import { queried, type ApiCall } from './api-call.ts'
import { invalidParameter } from './api-error.ts'
import type { ApiParts, Changes, Queries } from './api-parts.ts'

const TAGS_MAX = 50

/** Tags of functions; what else has an ARN has none. */
export function tagQueries(parts: ApiParts): Queries {
  return {
    ListTags: (call) => ({ Tags: parts.deployments.functions.kept(nameIn(parts, call)).tags }),
  }
}

export function tagChanges(parts: ApiParts): Changes {
  const { functions } = parts.deployments
  return {
    TagResource: async (call, input) => {
      const name = nameIn(parts, call)
      const given = input.map('Tags')
      if (given === undefined) throw input.missing('Tags')
      const tags = { ...functions.kept(name).tags, ...given }
      if (Object.keys(tags).length > TAGS_MAX)
        throw invalidParameter(`Number of tags exceeds resource tag limit of ${TAGS_MAX}.`)
      await functions.keep(name, (kept) => ({ ...kept, tags }))
    },
    UntagResource: async (call) => {
      const name = nameIn(parts, call)
      const keys = call.query.getAll('tagKeys')
      if (keys.length === 0 || queried(call, 'tagKeys') === '')
        throw invalidParameter('tagKeys names the tags that are taken away.')
      await functions.keep(name, (kept) => ({
        ...kept,
        tags: Object.fromEntries(Object.entries(kept.tags).filter(([key]) => !keys.includes(key))),
      }))
    },
  }
}

function nameIn({ deployments }: ApiParts, call: ApiCall): string {
  const { name, qualifier } = deployments.functions.find(call.parameters[0] ?? '')
  if (qualifier === undefined) return name
  throw invalidParameter(
    'Tags on function aliases and versions are not supported. Please specify a function ARN.',
  )
}
