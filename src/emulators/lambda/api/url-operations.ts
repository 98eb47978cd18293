import { VERSION } from '../definition.ts'
import { queried, type ApiCall } from './api-call.ts'
import { conflict, invalidValue, notFound } from './api-error.ts'
import { foundIn, qualifiedArn, type ApiParts, type Changes, type Queries } from './api-parts.ts'
import type { FoundFunction } from './functions.ts'
import type { Input } from './input.ts'
import { page } from './paging.ts'
import type { UrlState } from './state.ts'
import type { Urls } from './urls.ts'

const AUTH_TYPES = ['NONE', 'AWS_IAM'] as const
const INVOKE_MODES = ['RESPONSE_STREAM', 'BUFFERED'] as const
const MAX_AGE = { min: 0, max: 86_400 }

export function urlQueries(parts: ApiParts, urls: Urls): Queries {
  return {
    GetFunctionUrlConfig: (call) => {
      const found = foundUrl(parts, call)
      return shown(parts, urls, found, inForce(parts, found))
    },
    ListFunctionUrlConfigs: (call) => {
      const found = foundIn(parts, call)
      const kept = Object.keys(parts.deployments.functions.kept(found.name).urls)
      const all = [...new Set([VERSION, ...kept])].flatMap((qualifier) => {
        const one = { ...found, qualifier: qualifier === VERSION ? undefined : qualifier }
        const url = urlOf(parts, one)
        return url === undefined ? [] : [{ one, url }]
      })
      const { items, next } = page(call, all, ({ one }) => one.qualifier ?? VERSION)
      return {
        FunctionUrlConfigs: items.map(({ one, url }) => shown(parts, urls, one, url)),
        NextMarker: next,
      }
    },
  }
}

export function urlChanges(parts: ApiParts, urls: Urls): Changes {
  const { functions } = parts.deployments
  const keep = async (found: FoundFunction, url: UrlState | undefined): Promise<void> => {
    const { name, qualifier = VERSION } = found
    await functions.keep(name, (kept) => {
      const { [qualifier]: _old, ...others } = kept.urls
      return { ...kept, urls: url === undefined ? others : { ...others, [qualifier]: url } }
    })
    await urls.serve(name, qualifier)
  }
  return {
    CreateFunctionUrlConfig: async (call, input) => {
      const found = foundUrl(parts, call)
      const { name, qualifier = VERSION } = found
      if (functions.kept(name).urls[qualifier] !== undefined)
        throw conflict(
          `Failed to create function url config for [functionArn = ${qualifiedArn(parts, found)}]. Error message:  FunctionUrlConfig exists for this Lambda function`,
        )
      const authType = input.choice('AuthType', AUTH_TYPES)
      if (authType === undefined) throw input.missing('AuthType')
      const at = parts.now()
      const url: UrlState = {
        authType,
        ...told(input),
        createdAt: at,
        modifiedAt: at,
      }
      await keep(found, url)
      return shown(parts, urls, found, url)
    },
    UpdateFunctionUrlConfig: async (call, input) => {
      const found = foundUrl(parts, call)
      const url = { ...inForce(parts, found), ...told(input), modifiedAt: parts.now() }
      await keep(found, url)
      return shown(parts, urls, found, url)
    },
    DeleteFunctionUrlConfig: async (call) => {
      const found = foundUrl(parts, call)
      inForce(parts, found)
      await keep(found, undefined)
    },
  }
}

/** @throws ApiError ValidationException for a qualifier that is no alias. */
function foundUrl(parts: ApiParts, call: ApiCall): FoundFunction {
  const qualifier = queried(call, 'Qualifier')
  if (qualifier !== undefined && /^(\d+|\$LATEST)$/.test(qualifier))
    throw invalidValue(
      qualifier,
      'qualifier',
      'Member must satisfy regular expression pattern: ((?!^\\d+$)^[0-9a-zA-Z-_]+$)',
    )
  return foundIn(parts, call)
}

function told(input: Input): Partial<UrlState> {
  const authType = input.choice('AuthType', AUTH_TYPES)
  const invokeMode = input.choice('InvokeMode', INVOKE_MODES)
  const cors = input.child('Cors')
  return {
    ...(authType === undefined ? {} : { authType }),
    ...(invokeMode === undefined ? {} : { invokeMode }),
    ...(cors === undefined ? {} : { cors: corsTold(cors) }),
  }
}

function corsTold(cors: Input): Readonly<Record<string, unknown>> {
  const members = {
    AllowCredentials: cors.flag('AllowCredentials'),
    AllowHeaders: cors.texts('AllowHeaders'),
    AllowMethods: cors.texts('AllowMethods'),
    AllowOrigins: cors.texts('AllowOrigins'),
    ExposeHeaders: cors.texts('ExposeHeaders'),
    MaxAge: cors.integer('MaxAge', MAX_AGE),
  }
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}

/** A function of the project's files always has an address of its own. */
function urlOf(parts: ApiParts, found: FoundFunction): UrlState | undefined {
  const { name, qualifier = VERSION } = found
  const kept = parts.deployments.functions.kept(name)
  const url = kept.urls[qualifier]
  if (url !== undefined || qualifier !== VERSION || kept.created === true) return url
  const at = parts.configurations.modifiedAt(found)
  return { authType: 'NONE', ...declaredUrl(found), createdAt: at, modifiedAt: at }
}

/** What the project's files say of it, which is checked already. */
function declaredUrl({ served }: FoundFunction): Pick<UrlState, 'invokeMode' | 'cors'> {
  const { invokeMode = 'RESPONSE_STREAM', cors } = (served.config.options['url'] ?? {}) as DeclaredUrl
  if (cors === undefined) return { invokeMode }
  const members = Object.entries(cors).map(([name, value]) => [
    name.charAt(0).toUpperCase() + name.slice(1),
    value,
  ])
  return { invokeMode, cors: Object.fromEntries(members) as Record<string, unknown> }
}

interface DeclaredUrl {
  readonly invokeMode?: string | undefined
  readonly cors?: Readonly<Record<string, unknown>> | undefined
}

function inForce(parts: ApiParts, found: FoundFunction): UrlState {
  const url = urlOf(parts, found)
  if (url === undefined) throw notFound('The resource you requested does not exist.')
  return url
}

function shown(parts: ApiParts, urls: Urls, found: FoundFunction, url: UrlState): object {
  return {
    FunctionUrl: urls.addressOf(found),
    FunctionArn: qualifiedArn(parts, found),
    AuthType: url.authType,
    ...(url.cors === undefined ? {} : { Cors: url.cors }),
    ...(url.invokeMode === undefined ? {} : { InvokeMode: url.invokeMode }),
    CreationTime: new Date(url.createdAt).toISOString(),
    LastModifiedTime: new Date(url.modifiedAt).toISOString(),
  }
}
