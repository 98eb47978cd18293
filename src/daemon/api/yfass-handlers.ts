import { FlexiError } from '../../core/errors.ts'
import type { FunctionKey, VersionStatus } from '../model.ts'
import { keyOf, notFound, type ApiBase, type Asked, type Handlers } from './handler.ts'
import { LABEL, USER_NAME } from './schemas/names.ts'
import type { yfassOperations } from './schemas/yfass-operations.ts'
import { outlineOf, showConfig } from './shown-config.ts'

/** States in which a version answers requests. One that crashed does not, whatever starts it again soon. */
const RUNNING: ReadonlySet<VersionStatus['state']> = new Set(['running', 'idle', 'starting'])

/** YFASS's verbs. */
export const yfassHandlers: Handlers<keyof typeof yfassOperations> = {
  async upload({ caller, parameters, content }, { control }) {
    await control.upload(caller, namedKey(parameters.key), content)
  },

  get({ caller, parameters }, { control, accounts }) {
    const { version, aliases } = control.get(keyOf(parameters.key))
    const [alias] = aliases
    const meta = { name: version.name, version: version.version }
    return {
      meta: alias === undefined ? meta : { ...meta, version_alias: alias },
      config: showConfig(
        accounts.may(caller, 'read', version.config.group) ? version.config : outlineOf(version.config),
      ),
    }
  },

  async override({ caller, parameters, body }, { control }) {
    await control.override(caller, keyOf(parameters.key), body)
  },

  alias: setAlias,
  putAlias: setAlias,

  async remove({ caller, parameters }, { control }) {
    await control.remove(caller, keyOf(parameters.key))
  },

  async deploy({ caller, parameters }, { control }) {
    await control.start(caller, keyOf(parameters.key))
  },

  async kill({ caller, parameters }, { control }) {
    await control.stop(caller, keyOf(parameters.key))
  },

  status({ parameters }, { control }) {
    const status = control.status(keyOf(parameters.key))
    return { running: status !== undefined && RUNNING.has(status.state) }
  },

  addUser({ caller, body }, { accounts }) {
    accounts.addUser(caller, body.name, body.groups)
    return undefined
  },

  getUser({ caller, parameters }, { accounts }) {
    const name = userName(parameters.user)
    if (name !== caller.user) accounts.demand(caller, 'admin')
    const user = accounts.user(name)
    if (user === undefined) throw notFound(`user ${name}`)
    return { name: user.name, groups: user.groups }
  },

  removeUser({ caller, parameters }, { accounts }) {
    accounts.removeUser(caller, userName(parameters.user))
    return undefined
  },

  requestToken({ caller, body }, { accounts }) {
    return accounts.issueToken(caller, { user: userName(body.user), days: body.duration }).token
  },

  modifyUser({ caller, body }, { accounts }) {
    accounts.modifyUser(caller, userName(body.name), body.groups)
    return undefined
  },
}

async function setAlias(
  { caller, parameters, body }: Pick<Asked<'alias'>, 'caller' | 'parameters' | 'body'>,
  { control }: ApiBase,
): Promise<undefined> {
  const { alias } = body
  if (alias !== null && !LABEL.test(alias)) throw forbiddenName(alias)
  await control.alias(caller, keyOf(parameters.key), alias)
}

/** Names are host labels. @throws FlexiError FLEXI_FORBIDDEN for others, as YFASS does. */
function namedKey(reference: string): FunctionKey {
  const key = keyOf(reference)
  if (!LABEL.test(key.name)) throw forbiddenName(key.name)
  if (!LABEL.test(key.version)) throw forbiddenName(key.version)
  return key
}

function forbiddenName(name: string): FlexiError {
  return new FlexiError('FLEXI_FORBIDDEN', `${JSON.stringify(name)} cannot be a name`, {
    hint: 'Write lower-case letters, digits and "-", which neither begins nor ends it; 63 at most.',
  })
}

function userName(name: string): string {
  if (USER_NAME.test(name)) return name.toLowerCase()
  throw new FlexiError('FLEXI_FORBIDDEN', `${JSON.stringify(name)} cannot be the name of a user`, {
    hint: 'Write letters, digits and "-"; 63 at most.',
  })
}
