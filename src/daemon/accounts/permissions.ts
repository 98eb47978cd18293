import { PERMISSIONS, type Caller, type Group, type Permission } from '../model.ts'

type Right = Permission | 'host-net'

const RIGHTS: readonly Right[] = [...PERMISSIONS, 'host-net']

/** What having a right comes to. */
const IMPLIED: Readonly<Record<Right, readonly Right[]>> = {
  read: ['read'],
  write: ['write', 'read'],
  execute: ['execute'],
  remove: ['remove', 'read'],
  admin: ['admin', 'read', 'write', 'execute', 'remove'],
  root: RIGHTS,
  'host-net': ['host-net'],
}

const PREFIX = 'permission:'

/** As it is kept and compared: users' names know no case. */
export function canonicalGroup(group: Group): Group {
  return group.startsWith('singular:') ? (group.toLowerCase() as Group) : group
}

/**
 * What somebody is, by their groups and the scopes of the token they use: permissions with all that they imply, memberships, and being
 * themselves. Scopes of permissions leave memberships alone. Scopes that name a membership leave those named alone, and make no admin
 * of anybody unless they say so: an admin meets every group.
 */
export function groupsOf(
  user: string,
  groups: readonly Group[],
  scopes: readonly Group[] | undefined,
): ReadonlySet<Group> {
  const rights = impliedBy(groups)
  const memberships = new Set([
    ...groups.filter(isMembership).map(canonicalGroup),
    `singular:${user}` as Group,
  ])
  if (scopes === undefined) return join(rights, memberships)
  const scopedRights = scopes.some(isRight) ? impliedBy(scopes) : impliedByMemberships()
  const scopedMemberships = scopes.filter(isMembership).map(canonicalGroup)
  return join(
    RIGHTS.filter((right) => rights.has(right) && scopedRights.has(right)),
    scopedMemberships.length === 0
      ? memberships
      : scopedMemberships.filter((group) => memberships.has(group)),
  )
}

/** Root, with everything. */
export const ROOT_GROUPS: ReadonlySet<Group> = groupsOf('root', ['permission:root'], undefined)

/** Whether somebody may hand this group on: nobody gives what they lack. Admins meet every membership. */
export function has(caller: Pick<Caller, 'groups'>, group: Group): boolean {
  if (caller.groups.has(canonicalGroup(group))) return true
  return isMembership(group) && caller.groups.has('permission:admin')
}

/** The permissions among groups, the strongest first. */
export function permissionsOf(groups: ReadonlySet<Group>): Permission[] {
  return PERMISSIONS.filter((permission) => groups.has(`permission:${permission}`)).toReversed()
}

/** Without the permissions that another one implies: as people write them. */
export function shownGroups(groups: ReadonlySet<Group>): Group[] {
  const rights = RIGHTS.filter((right) => groups.has(`permission:${right}`))
  const needless = new Set(rights.flatMap((right) => IMPLIED[right].filter((implied) => implied !== right)))
  return [...groups].filter((group) => !isRight(group) || !needless.has(rightOf(group)))
}

/** What is left to a token whose scopes name memberships only. */
function impliedByMemberships(): ReadonlySet<Right> {
  return new Set(RIGHTS.filter((right) => right !== 'admin' && right !== 'root'))
}

function impliedBy(groups: readonly Group[]): ReadonlySet<Right> {
  return new Set(groups.filter(isRight).flatMap((group) => IMPLIED[rightOf(group)]))
}

function join(rights: Iterable<Right>, memberships: Iterable<Group>): ReadonlySet<Group> {
  return new Set<Group>([...[...rights].map((right) => `permission:${right}` as const), ...memberships])
}

function isRight(group: Group): boolean {
  return group.startsWith(PREFIX)
}

function isMembership(group: Group): boolean {
  return !isRight(group)
}

/** Where the store has a permission that this flexi does not know, it is worth nothing. */
function rightOf(group: Group): Right {
  return group.slice(PREFIX.length) as Right
}
