import { isDeepStrictEqual } from 'node:util'

import { emulators } from '../../emulators/registry.ts'
import { FlexiError } from '../../core/errors.ts'
import { closest } from '../../core/suggest.ts'
import type { Caller, DeploymentPart, DeploymentRequest, FunctionKey, VersionRecord } from '../model.ts'
import { checkLabel, keyText } from './keys.ts'
import type { Parts } from './parts.ts'
import { demandNetwork } from './permissions.ts'
import { ROUTES } from './switchboard.ts'

/** What a deployment does about one function. */
export interface PlannedPart {
  readonly part: DeploymentPart
  readonly record: VersionRecord
  /** False for a version that is there: the same content with the same configuration. */
  readonly changed: boolean
}

/**
 * What can be said before anything begins.
 * @throws FlexiError FLEXI_USAGE, FLEXI_FORBIDDEN, FLEXI_CONFLICT.
 */
export function checkRequest(parts: Parts, caller: Caller, request: DeploymentRequest): void {
  checkLabel('a project', request.project)
  checkLabel('an alias', request.alias)
  if (request.parts.length === 0) throw new FlexiError('FLEXI_USAGE', 'there is nothing to deploy')
  const names = new Set<string>()
  for (const part of request.parts) {
    if (names.has(part.name)) throw new FlexiError('FLEXI_USAGE', `${part.name} is there twice`)
    names.add(part.name)
    checkPart(parts, { caller, request, part })
  }
  checkDomains(parts, caller, request)
}

/** Those that the project had lead to it no more: who takes them away has to be one who may change what they led to. */
function checkDomains(
  { switchboard: { domains }, store, accounts }: Parts,
  caller: Caller,
  { project, parts, domains: asked }: DeploymentRequest,
): void {
  if (asked === undefined) return
  if (domains.check(project, asked).length > 0) frontOf({ parts })
  for (const front of domains.fronts(project))
    accounts.demand(caller, 'write', store.functions.get(front)?.group)
}

/** What the domains of a project lead to: its routes, or its only function. @throws FlexiError FLEXI_USAGE. */
export function frontOf({ parts }: Pick<DeploymentRequest, 'parts'>): string {
  const front =
    parts.find(({ config }) => config.provider === ROUTES) ?? (parts.length === 1 ? parts[0] : undefined)
  if (front !== undefined) return front.name
  throw new FlexiError('FLEXI_USAGE', 'the domains of a project of several functions need its routes', {
    hint: 'Deploy the whole project, not single functions of it.',
  })
}

interface PartToCheck {
  readonly caller: Caller
  readonly request: DeploymentRequest
  readonly part: DeploymentPart
}

function checkPart(parts: Parts, { caller, request, part }: PartToCheck): void {
  const { store, accounts } = parts
  const { name, version, config } = part
  checkLabel('a function', name)
  checkProvider(name, config.provider)
  const known = store.functions.get(name)
  accounts.demand(caller, 'write', known?.group)
  accounts.demand(caller, 'execute', known?.group)
  demandNetwork(caller, config)
  if (known?.project !== undefined && known.project !== request.project)
    throw new FlexiError('FLEXI_CONFLICT', `${name} belongs to the project ${known.project}`, {
      hint: `Call the function something else, or deploy it as part of that project: "--project ${known.project}".`,
    })
  if (known === undefined) checkVariables(parts, caller, name)
  checkFree(store, { name, version }, request.alias)
  if (version !== undefined) checkVersion(parts, part, version)
}

/**
 * What was set for a function that was not there yet is not for whoever comes first, nor may it run in what somebody else deploys.
 * @throws FlexiError FLEXI_FORBIDDEN.
 */
function checkVariables({ store }: Parts, caller: Caller, name: string): void {
  const other = store.variables.of(name).find(({ setBy }) => setBy !== caller.user)
  if (other === undefined) return
  throw new FlexiError('FLEXI_FORBIDDEN', `${other.setBy} has set variables for ${name}`, {
    hint: `Have ${other.setBy} deploy it first, or take them away with "flexi env unset".`,
  })
}

/** A name leads to one place: a version, or an alias. @throws FlexiError FLEXI_CONFLICT. */
export function checkFree(
  { versions, aliases }: Parts['store'],
  { name, version }: { readonly name: string; readonly version?: string | undefined },
  alias: string,
): void {
  if (versions.get({ name, version: alias }) !== undefined)
    throw new FlexiError('FLEXI_CONFLICT', `${name} has a version that is called ${alias}`)
  if (version !== undefined && aliases.get(name, version) !== undefined)
    throw new FlexiError('FLEXI_CONFLICT', `${name} has an alias that is called ${version}`)
}

/** @throws FlexiError FLEXI_USAGE. */
export function checkProvider(name: string, provider: string): void {
  const known = [...Object.keys(emulators), ROUTES]
  if (known.includes(provider)) return
  const near = closest(provider, known)
  throw new FlexiError('FLEXI_USAGE', `${name}: this daemon has no provider ${JSON.stringify(provider)}`, {
    hint: near === undefined ? `It has ${known.join(', ')}.` : `Did you mean ${near}?`,
  })
}

function checkVersion({ store }: Parts, part: DeploymentPart, version: string): void {
  const { name } = part
  checkLabel('a version', version)
  const known = store.versions.get({ name, version })
  if (known === undefined || isSame(known, part)) return
  throw new FlexiError(
    'FLEXI_CONFLICT',
    `${keyText(known)} is there, with other content or another configuration`,
    {
      hint: 'Name another version, or none: the daemon counts.',
    },
  )
}

/** Which version each part becomes. Numbers are taken for good: what failed under one is not mistaken for what comes next. */
export function planParts(parts: Parts, caller: Caller, request: DeploymentRequest): readonly PlannedPart[] {
  return request.parts.map((part) => {
    const same = findSame(parts, part)
    if (same !== undefined) return { part, record: same, changed: false }
    const version = part.version ?? countedVersion(parts, part.name, request.dryRun === true)
    return { part, record: recordOf(parts, caller, { part, version }), changed: true }
  })
}

function findSame({ store }: Parts, part: DeploymentPart): VersionRecord | undefined {
  const { name, version } = part
  if (version !== undefined) return store.versions.get({ name, version })
  const same = store.versions.of(name).filter((record) => isSame(record, part))
  return same.sort((one, other) => other.createdAt - one.createdAt)[0]
}

function isSame(record: VersionRecord, { artifact, config }: DeploymentPart): boolean {
  return record.artifact === artifact && isDeepStrictEqual(comparable(record.config), comparable(config))
}

/** As it is stored: without what is undefined, and without the group, which is the function's. */
function comparable(config: DeploymentPart['config']): unknown {
  return JSON.parse(JSON.stringify({ ...config, group: undefined }))
}

function recordOf(
  parts: Parts,
  caller: Caller,
  { part, version }: { readonly part: DeploymentPart; readonly version: string },
): VersionRecord {
  const { name, artifact } = part
  const { config } = withoutGroup(part)
  return {
    name,
    version,
    artifact,
    config,
    createdAt: parts.clock(),
    createdBy: caller.user,
    wanted: 'running',
  }
}

/** A group is the function's. */
function withoutGroup({ config }: DeploymentPart): { readonly config: VersionRecord['config'] } {
  const copy: { group?: unknown } & typeof config = { ...config }
  delete copy.group
  return { config: copy }
}

/** `v1`, `v2` …: the next number that was never given to a version of this function. */
function countedVersion({ store }: Parts, name: string, dry: boolean): string {
  const setting = `counted:${name}`
  const isTaken = (key: FunctionKey): boolean =>
    store.versions.get(key) !== undefined || store.aliases.get(key.name, key.version) !== undefined
  let number = Number(store.settings.get(setting) ?? '0') + 1
  while (isTaken({ name, version: `v${number}` })) number += 1
  if (!dry) store.settings.set(setting, String(number))
  return `v${number}`
}
