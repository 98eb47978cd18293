import type { ApiFunction } from '../../../core/function.ts'
import { awsNameOf, settingsOf } from '../service/function-settings.ts'
import { VERSION } from '../definition.ts'
import type { ApiCall } from './api-call.ts'
import { ApiError, invalidParameter } from './api-error.ts'
import { foundIn, type ApiParts, type Changes, type Queries } from './api-parts.ts'
import { ACCOUNT_CONCURRENCY } from './function-queries.ts'
import type { FoundFunction } from './functions.ts'
import { page } from './paging.ts'
import type { FunctionState, ProvisionedState } from './state.ts'

/** What an account keeps for functions without a reservation. */
const UNRESERVED_MIN = 100
const RESERVABLE = { min: 0, max: 100_000 }
const PROVISIONABLE = { min: 1, max: 100_000 }

export function concurrencyQueries(parts: ApiParts): Queries {
  const { deployments } = parts
  return {
    GetFunctionConcurrency: (call) => {
      const reserved = deployments.reservedOf(foundIn(parts, call))
      return reserved === undefined ? {} : { ReservedConcurrentExecutions: reserved }
    },
    GetProvisionedConcurrencyConfig: (call) => {
      if (call.query.has('List')) return list(parts, call)
      const found = foundIn(parts, call)
      const provisioned = all(parts, found)[found.qualifier ?? VERSION]
      if (provisioned !== undefined)
        return shown(provisioned, deployments.running(found, found.qualifier ?? VERSION))
      throw new ApiError(404, 'ProvisionedConcurrencyConfigNotFoundException', {
        Type: 'User',
        message: 'No Provisioned Concurrency Config found for this function',
      })
    },
  }
}

export function concurrencyChanges(parts: ApiParts): Changes {
  const { deployments } = parts
  const { functions } = deployments
  const keep = async (
    found: FoundFunction,
    change: (kept: FunctionState) => Partial<FunctionState>,
  ): Promise<void> => {
    await functions.keep(found.name, (kept) => ({ ...kept, ...change(kept) }))
    deployments.limitAll()
    await deployments.provision(found)
  }
  return {
    PutFunctionConcurrency: async (call, input) => {
      const found = whole(parts, call)
      const reserved = input.integer('ReservedConcurrentExecutions', RESERVABLE)
      if (reserved === undefined) throw input.missing('ReservedConcurrentExecutions')
      checkAccount(parts, found, reserved)
      checkProvisioned(parts, found, reserved)
      await keep(found, () => ({ reserved }))
      return { ReservedConcurrentExecutions: reserved }
    },
    DeleteFunctionConcurrency: async (call) => {
      const found = whole(parts, call)
      const declared = settingsOf(found.served.config).reservedConcurrency
      await keep(found, () => ({ reserved: declared === undefined ? undefined : null }))
    },
    PutProvisionedConcurrencyConfig: async (call, input) => {
      const found = foundIn(parts, call)
      const { qualifier = VERSION } = found
      const requested = input.integer('ProvisionedConcurrentExecutions', PROVISIONABLE)
      if (requested === undefined) throw input.missing('ProvisionedConcurrentExecutions')
      if (qualifier === VERSION)
        throw invalidParameter(
          'Provisioned Concurrency Configs cannot be applied to unpublished function versions.',
        )
      checkReserved(parts, found, requested)
      const provisioned = { requested, modifiedAt: parts.now() }
      await keep(found, (kept) => ({ provisioned: { ...kept.provisioned, [qualifier]: provisioned } }))
      return shown(provisioned, undefined)
    },
    DeleteProvisionedConcurrencyConfig: async (call) => {
      const found = foundIn(parts, call)
      await keep(found, (kept) => {
        const { [found.qualifier ?? VERSION]: _gone, ...provisioned } = kept.provisioned
        return { provisioned }
      })
    },
  }
}

/** A reservation is of the function, never of a version. */
function whole(parts: ApiParts, call: ApiCall): FoundFunction {
  const found = foundIn(parts, call)
  if (found.qualifier === undefined) return found
  throw invalidParameter(
    'This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.',
  )
}

/** @throws ApiError InvalidParameterValueException when too little is left for the functions without a reservation. */
function checkAccount({ deployments }: ApiParts, { name }: FoundFunction, reserved: number): void {
  const others = deployments.functions.all().reduce((sum, served) => {
    const other = awsNameOf(served.config)
    return other === name ? sum : sum + (deployments.reservedOf({ name: other, served }) ?? 0)
  }, 0)
  if (ACCOUNT_CONCURRENCY - others - reserved >= UNRESERVED_MIN) return
  throw invalidParameter(
    `Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [${UNRESERVED_MIN}].`,
  )
}

/** @throws ApiError InvalidParameterValueException when more is provisioned than would be reserved. */
function checkProvisioned(parts: ApiParts, found: FoundFunction, reserved: number): void {
  const total = provisionedSum(parts, found)
  if (reserved >= total) return
  throw new ApiError(400, 'InvalidParameterValueException', {
    message: ` ReservedConcurrentExecutions  ${reserved} should not be lower than function's total provisioned concurrency [${total}].`,
  })
}

/** @throws ApiError InvalidParameterValueException when more would be provisioned than is reserved. */
function checkReserved(parts: ApiParts, found: FoundFunction, requested: number): void {
  const reserved = parts.deployments.reservedOf(found)
  if (reserved === undefined || provisionedSum(parts, found, found.qualifier) + requested <= reserved) return
  throw invalidParameter(
    'Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function',
  )
}

/** Of all versions and aliases but one. */
function provisionedSum(parts: ApiParts, found: FoundFunction, but?: string): number {
  const others = Object.entries(all(parts, found)).filter(([qualifier]) => qualifier !== but)
  return others.reduce((sum, [, { requested }]) => sum + requested, 0)
}

function list(parts: ApiParts, call: ApiCall): object {
  const found = foundIn(parts, call)
  const entries = Object.entries(all(parts, found))
  const { items, next } = page(call, entries, ([qualifier]) => qualifier)
  const arn = parts.deployments.functions.arn(found.served)
  const configs = items.map(([qualifier, provisioned]) => ({
    FunctionArn: `${arn}:${qualifier}`,
    ...shown(provisioned, parts.deployments.running(found, qualifier)),
  }))
  return { ProvisionedConcurrencyConfigs: configs, NextMarker: next }
}

/** What the API was told; a template says it of the alias that it names. */
function all(parts: ApiParts, found: FoundFunction): Readonly<Record<string, ProvisionedState>> {
  const { alias, provisionedConcurrency } = settingsOf(found.served.config)
  const kept = parts.deployments.functions.kept(found.name).provisioned
  if (alias === undefined || provisionedConcurrency === undefined) return kept
  const modifiedAt = parts.configurations.modifiedAt(found)
  return { [alias]: { requested: provisionedConcurrency, modifiedAt }, ...kept }
}

/** There may run more than were asked for. */
function shown({ requested, modifiedAt }: ProvisionedState, running: ApiFunction | undefined): object {
  const available = Math.min(requested, running?.instances ?? 0)
  return {
    RequestedProvisionedConcurrentExecutions: requested,
    AvailableProvisionedConcurrentExecutions: available,
    AllocatedProvisionedConcurrentExecutions: available,
    ...statusOf(available === requested, running),
    LastModified: new Date(modifiedAt).toISOString().replace('Z', '+0000'),
  }
}

function statusOf(isThere: boolean, running: ApiFunction | undefined): object {
  if (isThere) return { Status: 'READY' }
  return running?.startFailed === true
    ? { Status: 'FAILED', StatusReason: 'FUNCTION_ERROR_INIT_FAILURE' }
    : { Status: 'IN_PROGRESS' }
}
