import { FlexiError } from '../../core/errors.ts'
import type { Call } from '../api/schemas/operations.ts'
import type { AliasTarget, VariableChanges } from '../control-plane.ts'
import type { DeploymentEvent, Digest, FunctionKey, Group } from '../model.ts'
import type { LogFilter } from '../runtime.ts'
import { type Calls, type ClientOptions, openCalls } from './calls.ts'
import type { Upload } from './exchange.ts'

/**
 * The daemon's API in TypeScript: one method an operation, typed by the daemon's own schemas.
 * Each throws a FlexiError: with the daemon's own code where it refused, FLEXI_DAEMON where it could not be asked.
 */
export type DaemonClient = ReturnType<typeof openClient>

export function openClient(options: ClientOptions) {
  const calls = openCalls(options)
  return {
    address: options.address,
    info: () => calls.json<'info'>({ method: 'GET', path: '/api/info' }),
    whoami: () => calls.json<'whoami'>({ method: 'GET', path: '/api/whoami' }),
    audit: (query: { limit?: number | undefined; since?: number | undefined }) =>
      calls.json<'audit'>({ method: 'GET', path: '/api/audit', query }),
    ...deploymentsOf(calls),
    ...functionsOf(calls),
    ...aliasesOf(calls),
    ...variablesOf(calls),
    ...usersOf(calls),
    ...tokensOf(calls),
  }
}

function deploymentsOf(calls: Calls) {
  return {
    hasArtifact: (digest: Digest) =>
      calls.found<'hasArtifact'>({ method: 'HEAD', path: '/api/artifacts/{digest}', parameters: { digest } }),
    putArtifact: (digest: Digest, body: Upload) =>
      calls.done<'putArtifact'>({
        method: 'PUT',
        path: '/api/artifacts/{digest}',
        parameters: { digest },
        body,
      }),
    /** Ends with `done` or `failed`. @throws FlexiError FLEXI_DAEMON when it breaks off before. */
    deploy: (body: Call<'createDeployment'>['body']) =>
      wholeDeployment(calls.lines<'createDeployment'>({ method: 'POST', path: '/api/deployments', body })),
    deployments: (query: { limit?: number | undefined; project?: string | undefined }) =>
      calls.json<'deployments'>({ method: 'GET', path: '/api/deployments', query }),
  }
}

async function* wholeDeployment(events: AsyncIterable<DeploymentEvent>): AsyncGenerator<DeploymentEvent> {
  for await (const event of events) {
    yield event
    if (event.event === 'done' || event.event === 'failed') return
  }
  throw new FlexiError('FLEXI_DAEMON', 'the daemon ended before the deployment did', {
    hint: 'See "flexi deployments" for how it ended.',
  })
}

function functionsOf(calls: Calls) {
  return {
    functions: (query: { project?: string | undefined } = {}) =>
      calls.json<'functions'>({ method: 'GET', path: '/api/functions', query }),
    function: (name: string) =>
      calls.json<'getFunction'>({ method: 'GET', path: '/api/functions/{name}', parameters: { name } }),
    removeFunction: (name: string) =>
      calls.done<'removeFunction'>({ method: 'DELETE', path: '/api/functions/{name}', parameters: { name } }),
    removeVersion: ({ name, version }: FunctionKey) =>
      calls.done<'remove'>({
        method: 'DELETE',
        path: '/api/remove/{key}',
        parameters: { key: `${name}@${version}` },
      }),
    setGroup: (name: string, group: Group | null) =>
      calls.done<'setGroup'>({
        method: 'PUT',
        path: '/api/functions/{name}/group',
        parameters: { name },
        body: { group },
      }),
    /** Without a version, that of the alias live. */
    start: (name: string, version?: string) =>
      calls.done<'startFunction'>({
        method: 'POST',
        path: '/api/functions/{name}/start',
        parameters: { name },
        query: { version },
      }),
    /** Without a version, all that run. */
    stop: (name: string, version?: string) =>
      calls.done<'stopFunction'>({
        method: 'POST',
        path: '/api/functions/{name}/stop',
        parameters: { name },
        query: { version },
      }),
    /** Oldest first. With `follow` it does not end. */
    logs: ({ function: name, follow = false, ...query }: Omit<LogFilter, 'signal'>) =>
      calls.lines<'logs'>({
        method: 'GET',
        path: '/api/functions/{name}/logs',
        parameters: { name },
        query: { ...query, follow: follow ? 'true' : undefined },
      }),
  }
}

function aliasesOf(calls: Calls) {
  return {
    setAlias: (name: string, alias: string, body: AliasTarget) =>
      calls.json<'setAlias'>({
        method: 'PUT',
        path: '/api/functions/{name}/aliases/{alias}',
        parameters: { name, alias },
        body,
      }),
    removeAlias: (name: string, alias: string) =>
      calls.done<'removeAlias'>({
        method: 'DELETE',
        path: '/api/functions/{name}/aliases/{alias}',
        parameters: { name, alias },
      }),
    /** Newest first. */
    aliasHistory: (name: string, alias: string) =>
      calls.json<'aliasHistory'>({
        method: 'GET',
        path: '/api/functions/{name}/aliases/{alias}/history',
        parameters: { name, alias },
      }),
    /** To where the alias led before, or to a version named. */
    rollback: (name: string, alias: string, to?: string) =>
      calls.json<'rollback'>({
        method: 'POST',
        path: '/api/functions/{name}/rollback',
        parameters: { name },
        body: { alias, to },
      }),
  }
}

function variablesOf(calls: Calls) {
  return {
    variables: (name: string) =>
      calls.json<'variables'>({
        method: 'GET',
        path: '/api/functions/{name}/variables',
        parameters: { name },
      }),
    setVariables: (name: string, body: VariableChanges) =>
      calls.done<'setVariables'>({
        method: 'PATCH',
        path: '/api/functions/{name}/variables',
        parameters: { name },
        body,
      }),
  }
}

function usersOf(calls: Calls) {
  return {
    users: () => calls.json<'users'>({ method: 'GET', path: '/api/users' }),
    user: (user: string) =>
      calls.json<'getUser'>({ method: 'GET', path: '/api/user/get/{user}', parameters: { user } }),
    addUser: (name: string, groups: Group[]) =>
      calls.done<'addUser'>({ method: 'POST', path: '/api/user/add', body: { name, groups } }),
    /** Replaces all groups. */
    modifyUser: (name: string, groups: Group[]) =>
      calls.done<'modifyUser'>({ method: 'PUT', path: '/api/user/modify', body: { name, groups } }),
    removeUser: (user: string) =>
      calls.done<'removeUser'>({ method: 'DELETE', path: '/api/user/remove/{user}', parameters: { user } }),
  }
}

function tokensOf(calls: Calls) {
  return {
    tokens: (user?: string) => calls.json<'tokens'>({ method: 'GET', path: '/api/tokens', query: { user } }),
    /** The only time that the token itself is told. */
    createToken: (body: Call<'createToken'>['body']) =>
      calls.json<'createToken'>({ method: 'POST', path: '/api/tokens', body }),
    revokeToken: (id: string) =>
      calls.done<'revokeToken'>({ method: 'DELETE', path: '/api/tokens/{id}', parameters: { id } }),
  }
}
