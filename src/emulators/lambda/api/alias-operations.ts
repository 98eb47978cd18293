import { randomUUID } from 'node:crypto'

import { VERSION } from '../definition.ts'
import { settingsOf } from '../service/function-settings.ts'
import { queried } from './api-call.ts'
import { checkRevision, conflict, invalidParameter, notFound } from './api-error.ts'
import { foundIn, type ApiParts, type Changes, type Queries } from './api-parts.ts'
import { isVersion, type FoundFunction } from './functions.ts'
import type { Input } from './input.ts'
import { page } from './paging.ts'
import { entryOf, withoutQualifier, type AliasState } from './state.ts'

const NAME = /^(?!\d+$)[a-zA-Z0-9-_]{1,128}$/
const VERSION_NAME = /^(\$LATEST|\d+)$/

export function aliasQueries(parts: ApiParts): Queries {
  const { functions } = parts.deployments
  return {
    GetAlias: (call) => {
      const found = foundIn(parts, call)
      const name = call.parameters[1] ?? ''
      const alias = functions.alias(found.name, name, found.served)
      if (alias === undefined) throw notFound(`Cannot find alias arn: ${functions.arn(found.served)}:${name}`)
      return shown(parts, found, name, alias)
    },
    ListAliases: (call) => {
      const found = foundIn(parts, call)
      const kept = functions.kept(found.name).aliases
      const own = settingsOf(found.served.config).alias
      const names = [...new Set([...(own === undefined ? [] : [own]), ...Object.keys(kept)])]
      const wanted = queried(call, 'FunctionVersion')
      const all = names.flatMap((name) => {
        const alias = functions.alias(found.name, name, found.served)
        const fits =
          wanted === undefined || alias?.version === wanted || alias?.additional?.version === wanted
        return alias === undefined || !fits ? [] : [{ name, alias }]
      })
      const { items, next } = page(call, all, ({ name }) => name)
      return { Aliases: items.map(({ name, alias }) => shown(parts, found, name, alias)), NextMarker: next }
    },
  }
}

export function aliasChanges(parts: ApiParts): Changes {
  const { functions } = parts.deployments
  const keep = async (found: FoundFunction, name: string, alias: AliasState): Promise<object> => {
    await functions.keep(found.name, (kept) => ({ ...kept, aliases: { ...kept.aliases, [name]: alias } }))
    await parts.deployments.provision(found)
    return shown(parts, found, name, alias)
  }
  return {
    CreateAlias: async (call, input) => {
      const found = foundIn(parts, call)
      const name = input.needed('Name', NAME)
      const version = input.needed('FunctionVersion', VERSION_NAME)
      const old = entryOf(functions.kept(found.name).aliases, name)
      if (old !== undefined) throw conflict(`Alias already exists: ${functions.arn(found.served)}:${name}`)
      const alias = { version, description: input.text('Description') ?? '', revisionId: randomUUID() }
      return keep(found, name, { ...alias, ...routing(parts, found, { input, version }) })
    },
    UpdateAlias: async (call, input) => {
      const found = foundIn(parts, call)
      const name = call.parameters[1] ?? ''
      const old = functions.alias(found.name, name, found.served)
      if (old === undefined) throw notFound(`Alias not found: ${functions.arn(found.served)}:${name}`)
      checkRevision(input.text('RevisionId'), old.revisionId)
      const version = input.text('FunctionVersion', VERSION_NAME) ?? old.version
      return keep(found, name, {
        version,
        description: input.text('Description') ?? old.description,
        additional: old.additional,
        ...routing(parts, found, { input, version }),
        revisionId: randomUUID(),
      })
    },
    DeleteAlias: async (call) => {
      const found = foundIn(parts, call)
      const name = call.parameters[1] ?? ''
      if (functions.alias(found.name, name, found.served) === undefined) return
      await functions.keep(found.name, (kept) => withoutQualifier(kept, name))
      await parts.deployments.provision(found)
    },
  }
}

/** Checks what the alias points to, and gives its second version where the request says something of it. */
function routing(
  { deployments }: ApiParts,
  found: FoundFunction,
  { input, version }: { readonly input: Input; readonly version: string },
): Pick<AliasState, 'additional'> {
  const { functions } = deployments
  const arn = functions.arn(found.served)
  const known = (number: string): boolean =>
    number === VERSION || functions.kept(found.name).versions[number] !== undefined
  if (!known(version)) throw notFound(`Function not found: ${arn}:${version}`)
  const given = input.child('RoutingConfig')
  if (given === undefined) return {}
  const additional = secondVersion(given, version)
  if (additional !== undefined && !known(additional.version))
    throw notFound(`Function not found: ${arn}:${additional.version}`)
  return { additional }
}

function secondVersion(given: Input, version: string): AliasState['additional'] {
  const weights = Object.entries(given.weights('AdditionalVersionWeights') ?? {})
  const [first] = weights
  if (first === undefined) return undefined
  if (weights.length > 1)
    throw invalidParameter('Number of items in AdditionalVersionWeights cannot be greater than 1')
  const [other, weight] = first
  if (version === VERSION || !isVersion(other))
    throw invalidParameter('$LATEST is not supported for an alias pointing to more than 1 version')
  if (other === version)
    throw invalidParameter(
      `Invalid function version ${version}. Function version ${version} is already included in routing configuration.`,
    )
  if (!(weight >= 0 && weight <= 1))
    throw invalidParameter(`Value '{${other}=${weight}}' has a weight that is not between 0.0 and 1.0`)
  return { version: other, weight }
}

function shown(
  { deployments }: ApiParts,
  { served }: FoundFunction,
  name: string,
  { version, description, additional, revisionId }: AliasState,
): object {
  const weights = additional === undefined ? undefined : { [additional.version]: additional.weight }
  return {
    AliasArn: `${deployments.functions.arn(served)}:${name}`,
    Name: name,
    FunctionVersion: version,
    Description: description,
    ...(weights === undefined ? {} : { RoutingConfig: { AdditionalVersionWeights: weights } }),
    RevisionId: revisionId,
  }
}
