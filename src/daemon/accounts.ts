import type { Caller, Group, Permission, TokenRecord, UserRecord } from './model.ts'

/** Users, tokens, and what they may do. Every change is in the audit log. */
export interface Accounts {
  /**
   * Who sent this Authorization field.
   * @throws FlexiError FLEXI_UNAUTHENTICATED (401) without one, or one that is not `Bearer TOKEN`; FLEXI_FORBIDDEN (403) for a token that is
   * unknown, expired or revoked; FLEXI_RATE_LIMIT (429, Retry-After) for an address that guessed too often.
   */
  authenticate(authorization: string | undefined, from: string): Caller
  /** Who asks on the machine's own socket, which its operator alone can open: root, without a token. */
  operator(): Caller
  /** @throws FlexiError FLEXI_FORBIDDEN that names what is missing. `group` is the function's own: met by its members, admins and root. */
  demand(caller: Caller, permission: Permission, group?: Group): void
  may(caller: Caller, permission: Permission, group?: Group): boolean

  /** @throws FlexiError FLEXI_FORBIDDEN for groups the caller lacks; FLEXI_CONFLICT for one that is there, and for `root`. */
  addUser(caller: Caller, name: string, groups: readonly Group[]): UserRecord
  users(): readonly UserRecord[]
  /** `root` has `permission:root`. */
  user(name: string): UserRecord | undefined
  /** Replaces all groups. @throws FlexiError FLEXI_FORBIDDEN for `root` and for groups the caller lacks, given or taken; FLEXI_NO_INPUT (404). */
  modifyUser(caller: Caller, name: string, groups: readonly Group[]): UserRecord
  /** @throws FlexiError FLEXI_NO_INPUT (404), for `root` too. */
  removeUser(caller: Caller, name: string): void

  /** The only time that the token itself is told. @throws FlexiError FLEXI_FORBIDDEN when the user may more than the caller. */
  issueToken(caller: Caller, request: TokenRequest): { readonly token: string; readonly record: TokenRecord }
  tokens(user?: string): readonly TokenRecord[]
  revokeToken(caller: Caller, id: string): boolean
  /** Makes the root token anew; the old one is worth nothing from now on. For the operator on the machine alone. */
  renewRootToken(): string
  /** The root token when there never was one: told once, by the first start. */
  firstRootToken(): string | undefined
}

export interface TokenRequest {
  readonly user: string
  readonly label?: string | undefined
  /** Default 10. Fractions count. */
  readonly days?: number | undefined
  readonly scopes?: readonly Group[] | undefined
}
