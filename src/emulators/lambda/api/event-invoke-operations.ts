import { VERSION } from '../definition.ts'
import { settingsOf } from '../service/function-settings.ts'
import { invalidParameter, notFound } from './api-error.ts'
import { foundIn, type ApiParts, type Changes, type Queries } from './api-parts.ts'
import type { FoundFunction } from './functions.ts'
import type { Input } from './input.ts'
import { page } from './paging.ts'
import type { EventInvokeState } from './state.ts'

const ATTEMPTS = { min: 0, max: 2 }
const AGE_SECONDS = { min: 60, max: 21_600 }
const DESTINATION =
  /^arn:aws[a-zA-Z-]*:(sqs|sns|lambda|events|s3):[a-z0-9-]*:(\d{12})?:[^\s]+$|^arn:aws[a-zA-Z-]*:s3:::[^\s]+$/

/** What becomes of events that nobody waits for: attempts, age, destinations. */
export function eventInvokeQueries(parts: ApiParts): Queries {
  return {
    GetFunctionEventInvokeConfig: (call) => {
      const found = foundIn(parts, call)
      return shown(parts, found, { qualifier: found.qualifier ?? VERSION, config: inForce(parts, found) })
    },
    ListFunctionEventInvokeConfigs: (call) => {
      const found = foundIn(parts, call)
      const all = Object.entries(allOf(parts, found))
      const { items, next } = page(call, all, ([qualifier]) => qualifier)
      return {
        FunctionEventInvokeConfigs: items.map(([qualifier, config]) =>
          shown(parts, found, { qualifier, config }),
        ),
        NextMarker: next,
      }
    },
  }
}

export function eventInvokeChanges(parts: ApiParts): Changes {
  const { functions } = parts.deployments
  const put = async (found: FoundFunction, config: EventInvokeState): Promise<object> => {
    const arn = functions.arn(found.served)
    if ([config.onSuccess, config.onFailure].some((destination) => isOf(destination, arn)))
      throw invalidParameter("You can't specify the function as a destination for itself.")
    const { name, qualifier = VERSION } = found
    await functions.keep(name, (kept) => ({
      ...kept,
      eventInvoke: { ...kept.eventInvoke, [qualifier]: config },
    }))
    return shown(parts, found, { qualifier, config })
  }
  return {
    PutFunctionEventInvokeConfig: (call, input) => {
      const found = foundIn(parts, call)
      const config = told(input)
      if (Object.keys(config).length === 0)
        throw invalidParameter('You must specify at least one of error handling or destination setting.')
      return put(found, { ...config, modifiedAt: parts.now() })
    },
    UpdateFunctionEventInvokeConfig: (call, input) => {
      const found = foundIn(parts, call)
      return put(found, { ...inForce(parts, found), ...told(input), modifiedAt: parts.now() })
    },
    DeleteFunctionEventInvokeConfig: async (call) => {
      const found = foundIn(parts, call)
      const { name, qualifier = VERSION } = found
      if (functions.kept(name).eventInvoke[qualifier] === undefined) throw none(parts, found)
      await functions.keep(name, (kept) => {
        const { [qualifier]: _gone, ...eventInvoke } = kept.eventInvoke
        return { ...kept, eventInvoke }
      })
    },
  }
}

function isOf(destination: string | undefined, arn: string): boolean {
  return destination === arn || destination?.startsWith(`${arn}:`) === true
}

function told(input: Input): Partial<EventInvokeState> {
  const destinations = input.child('DestinationConfig')
  const success = destinationIn(destinations?.child('OnSuccess'))
  const failure = destinationIn(destinations?.child('OnFailure'))
  const attempts = input.integer('MaximumRetryAttempts', ATTEMPTS)
  const age = input.integer('MaximumEventAgeInSeconds', AGE_SECONDS)
  return {
    ...(attempts === undefined ? {} : { maximumRetryAttempts: attempts }),
    ...(age === undefined ? {} : { maximumEventAge: age }),
    ...(success === undefined ? {} : { onSuccess: success }),
    ...(failure === undefined ? {} : { onFailure: failure }),
  }
}

function destinationIn(input: Input | undefined): string | undefined {
  const arn = input?.text('Destination')
  if (arn === undefined || arn === '') return undefined
  if (DESTINATION.test(arn)) return arn
  throw invalidParameter(
    `The provided destination ${arn} is no ARN of a queue, topic, bus, function or bucket.`,
  )
}

/** What the files say is the function's own, which is `$LATEST`'s. */
function allOf(parts: ApiParts, found: FoundFunction): Readonly<Record<string, EventInvokeState>> {
  const kept = parts.deployments.functions.kept(found.name).eventInvoke
  const { maximumRetryAttempts, maximumEventAge, onSuccess, onFailure } = settingsOf(found.served.config)
  const said = { maximumRetryAttempts, maximumEventAge, onSuccess, onFailure }
  if (Object.values(said).every((value) => value === undefined)) return kept
  return { [VERSION]: { ...said, modifiedAt: parts.configurations.modifiedAt(found) }, ...kept }
}

function inForce(parts: ApiParts, found: FoundFunction): EventInvokeState {
  const config = allOf(parts, found)[found.qualifier ?? VERSION]
  if (config === undefined) throw none(parts, found)
  return config
}

function none({ deployments }: ApiParts, { served, qualifier = VERSION }: FoundFunction): Error {
  const arn = deployments.functions.arn(served)
  return notFound(`The function ${arn}:${qualifier} doesn't have an EventInvokeConfig`)
}

function shown(
  { deployments }: ApiParts,
  { served }: FoundFunction,
  { qualifier, config }: { readonly qualifier: string; readonly config: EventInvokeState },
): object {
  return {
    FunctionArn: `${deployments.functions.arn(served)}:${qualifier}`,
    // Seconds, where every other operation has a text.
    LastModified: config.modifiedAt / 1000,
    MaximumRetryAttempts: config.maximumRetryAttempts,
    MaximumEventAgeInSeconds: config.maximumEventAge,
    DestinationConfig: { OnSuccess: to(config.onSuccess), OnFailure: to(config.onFailure) },
  }
}

function to(arn: string | undefined): object {
  return arn === undefined ? {} : { Destination: arn }
}
