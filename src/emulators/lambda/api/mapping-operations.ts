import { randomUUID } from 'node:crypto'

import { errorMessage } from '../../../core/errors.ts'
import type { EventSource, QueueSource, StreamSource } from '../service/event-source.ts'
import type { SourceStatus } from '../sources/sources.ts'
import { queried, type ApiCall } from './api-call.ts'
import { conflict, invalidParameter, notFound } from './api-error.ts'
import type { ApiParts, Changes, Queries } from './api-parts.ts'
import type { Background } from './background.ts'
import type { FoundFunction } from './functions.ts'
import type { Input } from './input.ts'
import { mappingMembers } from './mapping-input.ts'
import { declaredMembers, filtersOf, sourceOf, sourceType } from './mapping-source.ts'
import { page } from './paging.ts'
import { entryOf, type MappingState } from './state.ts'

export function mappingQueries(parts: ApiParts, background: Background): Queries {
  const { functions } = parts.deployments
  return {
    GetEventSourceMapping: (call) => {
      const uuid = call.parameters[0] ?? ''
      const mapping = entryOf(functions.store.state.mappings, uuid)
      if (mapping !== undefined) return shown(parts, background, uuid, mapping)
      const declared = declaredOf(parts, background, uuid)
      if (declared === undefined) throw notFound('The resource you requested does not exist.')
      return shown(parts, background, uuid, declared)
    },
    ListEventSourceMappings: (call) => {
      const declared = background.statuses().flatMap(({ uuid }) => {
        const mapping = declaredOf(parts, background, uuid)
        return mapping === undefined ? [] : [[uuid, mapping] as const]
      })
      const wantedArn = queried(call, 'EventSourceArn')
      const wanted = queried(call, 'FunctionName')
      const name = wanted === undefined ? undefined : referenceOf(functions.find(wanted))
      const all = [...declared, ...Object.entries(functions.store.state.mappings)].filter(
        ([, mapping]) =>
          (wantedArn === undefined || mapping.members['EventSourceArn'] === wantedArn) &&
          (name === undefined || mapping.function === name),
      )
      const { items, next } = page(call, all, ([uuid]) => uuid)
      return {
        EventSourceMappings: items.map(([uuid, mapping]) => shown(parts, background, uuid, mapping)),
        NextMarker: next,
      }
    },
  }
}

export function mappingChanges(parts: ApiParts, background: Background): Changes {
  const { functions } = parts.deployments
  const keep = async (uuid: string, mapping: MappingState | undefined): Promise<void> => {
    // One that cannot be read would keep all others from starting.
    if (mapping !== undefined) sourceOf(mapping)
    await functions.store.change((state) => {
      const { [uuid]: _old, ...others } = state.mappings
      return { ...state, mappings: mapping === undefined ? others : { ...others, [uuid]: mapping } }
    })
    await background.changed()
  }
  const existing = (call: ApiCall): readonly [string, MappingState] => {
    const uuid = call.parameters[0] ?? ''
    const mapping = entryOf(functions.store.state.mappings, uuid)
    if (mapping !== undefined) return [uuid, mapping]
    if (declaredOf(parts, background, uuid) !== undefined)
      throw invalidParameter("The mapping is in the project's files: change it there.")
    throw notFound('The resource you requested does not exist.')
  }
  return {
    CreateEventSourceMapping: async (_call, input) => {
      const mapping = newMapping(parts, input)
      const uuid = randomUUID()
      await keep(uuid, mapping)
      return { ...shown(parts, background, uuid, mapping), State: 'Creating' }
    },
    UpdateEventSourceMapping: async (call, input) => {
      const [uuid, old] = existing(call)
      checkFilters(input)
      const named = input.text('FunctionName')
      const arn = String(old.members['EventSourceArn'])
      const mapping: MappingState = {
        function: named === undefined ? old.function : referenceOf(functions.find(named)),
        members: { ...old.members, ...mappingMembers(input, arn, old.members) },
        enabled: input.flag('Enabled') ?? old.enabled,
        modifiedAt: parts.now(),
      }
      await keep(uuid, mapping)
      return { ...shown(parts, background, uuid, mapping), State: 'Updating' }
    },
    DeleteEventSourceMapping: async (call) => {
      const [uuid, mapping] = existing(call)
      const last = shown(parts, background, uuid, mapping)
      await keep(uuid, undefined)
      return { ...last, State: 'Deleting' }
    },
  }
}

function newMapping(parts: ApiParts, input: Input): MappingState {
  const found = parts.deployments.functions.find(input.needed('FunctionName'))
  const arn = input.text('EventSourceArn')
  if (arn === undefined || sourceType(arn) === undefined)
    throw invalidParameter(
      'Unrecognized event source: flexi polls SQS queues, Kinesis streams and DynamoDB streams.',
    )
  checkFilters(input)
  const reference = referenceOf(found)
  const members = mappingMembers(input, arn)
  checkNew(parts, reference, arn)
  return { function: reference, members, enabled: input.flag('Enabled') ?? true, modifiedAt: parts.now() }
}

function referenceOf({ name, qualifier }: FoundFunction): string {
  return qualifier === undefined ? name : `${name}:${qualifier}`
}

function checkFilters(input: Input): void {
  try {
    filtersOf(input)
  } catch (error) {
    throw invalidParameter(`Invalid filter pattern definition. (${errorMessage(error)})`)
  }
}

function checkNew({ deployments }: ApiParts, reference: string, arn: string): void {
  const { mappings } = deployments.functions.store.state
  const same = Object.entries(mappings).find(
    ([, mapping]) => mapping.function === reference && mapping.members['EventSourceArn'] === arn,
  )
  if (same === undefined) return
  throw conflict(
    `The event source arn (" ${arn} ") and function (" ${reference} ") provided mapping already exists. Please update or delete the existing mapping with UUID ${same[0]}`,
  )
}

/** One of the project's files, in the form of the API's. */
function declaredOf(parts: ApiParts, background: Background, uuid: string): MappingState | undefined {
  const { functions } = parts.deployments
  const status = background.statuses().find((one) => one.uuid === uuid)
  if (status === undefined || !status.declared || !isPolled(status.source)) return undefined
  return {
    function: status.function,
    members: declaredMembers(status.source, (service, rest) => functions.arnOf(rest, service)),
    enabled: status.state === 'Enabled',
    modifiedAt: status.lastModified,
  }
}

function isPolled(source: EventSource): source is QueueSource | StreamSource {
  return source.type === 'sqs' || source.type === 'kinesis' || source.type === 'dynamodb'
}

function shown(
  { deployments }: ApiParts,
  background: Background,
  uuid: string,
  { function: reference, members, enabled, modifiedAt }: MappingState,
): Readonly<Record<string, unknown>> {
  const { functions } = deployments
  const [name = '', qualifier] = reference.split(':')
  const served = functions.served(name)
  const arn = served === undefined ? functions.arnOf(`function:${name}`) : functions.arn(served)
  const status: SourceStatus | undefined = background.statuses().find((one) => one.uuid === uuid)
  return {
    UUID: uuid,
    EventSourceMappingArn: functions.arnOf(`event-source-mapping:${uuid}`),
    FunctionArn: qualifier === undefined ? arn : `${arn}:${qualifier}`,
    ...members,
    State: enabled ? 'Enabled' : 'Disabled',
    StateTransitionReason: 'USER_INITIATED',
    LastProcessingResult: status?.lastProcessingResult ?? 'No records processed',
    LastModified: modifiedAt / 1000,
  }
}
