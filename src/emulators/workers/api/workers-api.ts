import type { IncomingMessage, ServerResponse } from 'node:http'

import { FlexiError } from '../../../core/errors.ts'
import type { RequestContext, SocketFetcher } from '../../../core/fetcher.ts'
import type { ApiHost, OpenApi } from '../../../core/function.ts'
import { sendJson } from '../events/front-paths.ts'
import { readTrigger, TRIGGER_KINDS } from '../events/trigger-request.ts'
import { tellOutcome } from '../events/trigger-story.ts'
import { trigger } from '../events/trigger.ts'
import { groupsOf, type Member } from '../groups/groups.ts'
import { Crons, type CronsOptions } from './crons.ts'
import { cronsOf, runtimeName } from './members.ts'

interface Exchange {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly context: RequestContext
}

/**
 * What can be asked of workers besides their own requests, below `/_flexi/workers`: what there is, `FUNCTION/trigger/KIND` to run a
 * handler, `FUNCTION/state/…` for stored data (state/http.ts). It also keeps the crons.
 */
export async function openWorkersApi(
  host: ApiHost,
  options: Pick<CronsOptions, 'clock'> = {},
): Promise<OpenApi> {
  const crons = new Crons({
    // Without a revision the first build has not succeeded yet.
    isBuilt: (name) => host.find(name)?.revision !== undefined,
    groups: groupsOf(host.app),
    ...options,
  })
  host.closing?.addEventListener('abort', () => crons.stop())
  let stateApi: SocketFetcher | undefined
  return {
    async handle(incoming, outgoing, context) {
      const exchange = { incoming, outgoing, context }
      const { path } = splitTarget(context.raw.target)
      if (path === '/') return sendJson(outgoing, 200, listOf(host))
      const [, name = '', part = '', kind = ''] = path.split('/')
      if (part === 'trigger') return await runTrigger(host, { name, kind }, exchange)
      const { isStateTarget, openStateApi } = await import('../state/http.ts')
      if (!isStateTarget(context.raw.target)) throw unknownTarget(path)
      stateApi ??= openStateApi(host.app)
      await stateApi.handle(incoming, outgoing, context)
    },
    changed: () => crons.announce(),
    [Symbol.asyncDispose]: () => crons[Symbol.asyncDispose](),
  }
}

/** As it was sent: no URL that a parser would refuse, or change. */
function splitTarget(target: string): { readonly path: string; readonly query: string } {
  const [path = '', ...query] = target.split('?')
  return { path, query: query.join('?') }
}

/** Answers with how it ended: 200, or 500 when the handler threw. @throws FlexiError FLEXI_BAD_REQUEST, FLEXI_FUNCTION_UNKNOWN. */
async function runTrigger(
  { app }: ApiHost,
  { name, kind: asked }: { readonly name: string; readonly kind: string },
  { incoming, outgoing, context }: Exchange,
): Promise<void> {
  const kind = TRIGGER_KINDS.find((one) => one === asked)
  if (kind === undefined)
    throw new FlexiError('FLEXI_NO_INPUT', `there is no trigger "${asked}"`, {
      hint: `There are: ${TRIGGER_KINDS.join(', ')}.`,
    })
  if (incoming.method !== 'POST')
    throw new FlexiError('FLEXI_BAD_REQUEST', 'a trigger is asked by POST', { hint: 'Send it with -X POST.' })
  const member = memberOf(app, name)
  const query = new URLSearchParams(splitTarget(context.raw.target).query)
  const event = await readTrigger(kind, { query, incoming, now: Date.now() })
  const control = await groupsOf(app).control(name)
  const result = await trigger(control, runtimeName(member), event)
  await tellOutcome(member.scope, event, result)
  sendJson(outgoing, result.outcome === 'ok' ? 200 : 500, result)
}

function memberOf(app: object, name: string): Member {
  const members = groupsOf(app).members()
  const member = members.find(({ config }) => config.name === name)
  if (member !== undefined) return member
  const names = members.map(({ config }) => config.name)
  throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `no worker is called ${name}`, {
    hint: `There are: ${names.join(', ') || 'none'}.`,
  })
}

interface ListedWorker {
  readonly function: string
  /** As other workers bind to it. */
  readonly worker: string
  readonly url: string | undefined
  readonly revision: string | undefined
  readonly crons: readonly string[]
  /** Queues that it consumes. */
  readonly queues: readonly string[]
  /** Without values: some are secrets. */
  readonly bindings: readonly { readonly name: string; readonly kind: string }[]
}

function listOf(host: ApiHost): readonly ListedWorker[] {
  return groupsOf(host.app)
    .members()
    .map((member) => {
      const { config, bindings } = member.settings()
      const served = host.find(member.config.name)
      return {
        function: member.config.name,
        worker: runtimeName(member),
        url: served?.url,
        revision: served?.revision,
        crons: cronsOf(member),
        queues: (config.queues.consumers ?? []).map(({ queue }) => queue),
        bindings: bindingsOf(bindings.options),
      }
    })
}

/** By the settings that make them; what is no table of names is no binding. */
const KINDS: Readonly<Record<string, string>> = {
  bindings: 'var',
  kvNamespaces: 'kv',
  r2Buckets: 'r2',
  d1Databases: 'd1',
  durableObjects: 'durable-object',
  queueProducers: 'queue',
  workflows: 'workflow',
  serviceBindings: 'service',
  hyperdrives: 'hyperdrive',
  ratelimits: 'rate-limit',
  secretsStoreSecrets: 'secret',
  analyticsEngineDatasets: 'analytics-engine',
  workerLoaders: 'worker-loader',
  pipelines: 'pipeline',
  wrappedBindings: 'unavailable',
}

function bindingsOf(options: object): ListedWorker['bindings'] {
  return Object.entries(options).flatMap(([key, value]) => {
    const kind = KINDS[key]
    if (kind === undefined || typeof value !== 'object' || value === null) return []
    return Object.keys(value as Readonly<Record<string, unknown>>).map((name) => ({ name, kind }))
  })
}

function unknownTarget(path: string): FlexiError {
  return new FlexiError('FLEXI_NO_INPUT', `there is nothing at /_flexi/workers${path}`, {
    hint: 'There are /_flexi/workers, and FUNCTION/trigger/KIND and FUNCTION/state below it.',
  })
}
