import { FlexiError } from '../../core/errors.ts'
import { permissionsOf, shownGroups } from '../accounts/permissions.ts'
import type { TokenRecord } from '../model.ts'
import { notFound, type Handlers } from './handler.ts'
import type { daemonOperations, userOperations } from './schemas/own-operations.ts'

const DEPLOYMENTS = 20
const AUDIT_LINES = 100

/** The daemon, deployments, users and tokens. */
export const daemonHandlers: Handlers<keyof typeof daemonOperations | keyof typeof userOperations> = {
  info: (_asked, { control }) => control.info(),

  whoami({ caller }, { accounts }) {
    const record = accounts.tokens(caller.user).find(({ id }) => id === caller.token)
    return {
      user: caller.user,
      token: caller.token,
      groups: shownGroups(caller.groups),
      permissions: permissionsOf(caller.groups),
      expiresAt: record?.expiresAt,
    }
  },

  renewRootToken: (_asked, { accounts }) => ({ token: accounts.renewRootToken() }),

  async hasArtifact({ caller, parameters }, { control }) {
    if (!(await control.hasArtifact(caller, parameters.digest))) throw notFound('such archive')
    return undefined
  },

  async putArtifact({ caller, parameters, content }, { control }) {
    await control.putArtifact(caller, parameters.digest, content)
  },

  createDeployment: ({ caller, body, signal }, { control }) => control.deploy(caller, body, signal),

  deployments: ({ query }, { control }) =>
    control.deployments({ limit: query.limit ?? DEPLOYMENTS, project: query.project }),

  audit: ({ query }, { control }) => control.audit({ limit: query.limit ?? AUDIT_LINES, since: query.since }),

  users: (_asked, { accounts }) => accounts.users(),

  tokens({ caller, query }, { accounts }) {
    const isAdmin = accounts.may(caller, 'admin')
    const user = query.user ?? (isAdmin ? undefined : caller.user)
    if (user !== undefined && user.toLowerCase() !== caller.user) accounts.demand(caller, 'admin')
    return accounts.tokens(user).map(showToken)
  },

  createToken({ caller, body }, { accounts }) {
    const user = body.user ?? caller.user
    if (user.toLowerCase() === 'root') throw rootHasOne()
    const { token, record } = accounts.issueToken(caller, { ...body, user })
    return { token, record: showToken(record) }
  },

  revokeToken({ caller, parameters }, { accounts }) {
    if (!accounts.revokeToken(caller, parameters.id)) throw notFound(`token ${parameters.id}`)
    return undefined
  },
}

/** Field by field: what is added to the record later is not told by accident. */
function showToken(record: TokenRecord): Omit<TokenRecord, 'hash'> {
  const { id, user, label, scopes, createdAt, expiresAt, usedAt } = record
  return { id, user, label, scopes, createdAt, expiresAt, usedAt }
}

function rootHasOne(): FlexiError {
  return new FlexiError('FLEXI_NO_INPUT', 'root is no user: it has the root token alone', {
    hint: 'Add a user with the groups that are needed: "flexi users add".',
  })
}
