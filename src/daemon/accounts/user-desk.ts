import { FlexiError } from '../../core/errors.ts'
import type { Accounts } from '../accounts.ts'
import type { Group, UserRecord } from '../model.ts'
import { audited, existingUser, requireAll, requirePermission, type AccountsBase } from './base.ts'
import { canonicalGroup } from './permissions.ts'

/** As YFASS has it; no host label, and therefore longer ones and `-` at its ends would do. */
const USER_NAME = /^[a-z0-9-]{1,63}$/

type UserDesk = Pick<Accounts, 'addUser' | 'users' | 'user' | 'modifyUser' | 'removeUser'>

/** Users and their groups. */
export function openUserDesk(base: AccountsBase): UserDesk {
  const { store } = base
  return {
    addUser: (caller, name, groups) =>
      addUser(base, caller, { name: name.toLowerCase(), groups: kept(groups) }),
    users: () => store.users.all(),
    user: (name) => (isRoot(name) ? ROOT : store.users.get(name.toLowerCase())),
    modifyUser: (caller, name, groups) =>
      modifyUser(base, caller, { name: name.toLowerCase(), groups: kept(groups) }),
    removeUser: (caller, name) => removeUser(base, caller, name.toLowerCase()),
  }
}

const ROOT: UserRecord = { name: 'root', groups: ['permission:root'], createdAt: 0 }

type Caller = Parameters<Accounts['addUser']>[0]
type Wanted = Pick<UserRecord, 'name' | 'groups'>

function addUser(base: AccountsBase, caller: Caller, { name, groups }: Wanted): UserRecord {
  return audited(base, caller, { action: 'user.add', object: name, detail: { groups } }, () => {
    requirePermission(caller, 'admin')
    // 403, as YFASS answers.
    if (!USER_NAME.test(name))
      throw new FlexiError('FLEXI_FORBIDDEN', `${name} is no name of a user`, {
        hint: 'Write letters, digits and "-", at most 63.',
      })
    if (isRoot(name)) throw new FlexiError('FLEXI_CONFLICT', 'root is there by itself')
    requireAll(caller, groups, 'give')
    const record = { name, groups, createdAt: base.clock() }
    base.store.users.add(record)
    return record
  })
}

function modifyUser(base: AccountsBase, caller: Caller, { name, groups }: Wanted): UserRecord {
  return audited(base, caller, { action: 'user.modify', object: name, detail: { groups } }, () => {
    requirePermission(caller, 'admin')
    if (isRoot(name)) throw new FlexiError('FLEXI_FORBIDDEN', 'root is never changed')
    const before = existingUser(base.store, name)
    requireAll(caller, groups, 'give')
    requireAll(
      caller,
      before.groups.filter((group) => !groups.includes(group)),
      'take',
    )
    base.store.users.setGroups(name, groups)
    return { ...before, groups }
  })
}

function removeUser(base: AccountsBase, caller: Caller, name: string): void {
  audited(base, caller, { action: 'user.remove', object: name }, () => {
    requirePermission(caller, 'root')
    existingUser(base.store, name)
    base.store.users.remove(name)
  })
}

function isRoot(name: string): boolean {
  return name.toLowerCase() === 'root'
}

/** Each once, as they are compared. */
function kept(groups: readonly Group[]): readonly Group[] {
  return [...new Set(groups.map(canonicalGroup))]
}
