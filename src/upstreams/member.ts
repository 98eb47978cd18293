import { LIMITS } from '../core/limits.ts'
import type { UpstreamOrigin, UpstreamSettings } from '../core/upstream.ts'
import type { ForwardTarget } from '../forward/forward.ts'
import type { Http2Target } from '../forward/http2-forward.ts'
import type { UpgradeOptions, UpgradeTarget } from '../forward/upgrade.ts'
import type { Balanced } from './balancer.ts'
import { readFieldEdits } from './field-edits.ts'
import { hashText } from './hash.ts'
import type { Origin } from './origin.ts'

/** An origin as one upstream sees it: its share, its limits, and what is changed in requests to it. */
export interface Member extends Balanced {
  readonly origin: Origin
  readonly target: ForwardTarget | Http2Target
  readonly upgradeTarget: UpgradeTarget
  readonly upgradeOptions: UpgradeOptions
}

/** @throws FlexiError FLEXI_CONFIG for fields that cannot be sent. */
export function memberOf(origin: Origin, config: UpstreamOrigin, settings: UpstreamSettings): Member {
  const { weight = 1, requestsMax = Number.POSITIVE_INFINITY, backup = false } = config
  const target = targetOf(origin, settings)
  return {
    origin,
    weight,
    requestsMax,
    backup,
    target,
    upgradeTarget: upgradeTargetOf(origin.address),
    upgradeOptions: { ...target, clientTls: origin.transport.tls, handshakeMs: target.headersMs },
    seed: hashText(config.url),
    credit: 0,
  }
}

function targetOf(origin: Origin, settings: UpstreamSettings): ForwardTarget | Http2Target {
  const { address, transport } = origin
  const { timeouts, stripPrefix } = settings
  const basePath = address.pathname.replace(/\/+$/, '')
  const prefix = stripPrefix?.replace(/\/+$/, '') || undefined
  const target: ForwardTarget = {
    dispatcher: transport.dispatcher,
    origin: address.origin,
    basePath: basePath === '' ? undefined : basePath,
    stripPrefix: prefix,
    host: hostRule(settings.host, address),
    forwarded: true,
    ...fieldRules(settings, prefix),
    headersMs: timeouts?.tryMs ?? LIMITS.requestMs,
    bodyMs: timeouts?.idleMs,
  }
  if (transport.pool === undefined) return target
  return { ...target, pool: transport.pool, scheme: address.protocol.slice(0, -1), authority: address.host }
}

/** Undefined where there is nothing to do, because every request looks. */
function fieldRules(
  { requestFields }: UpstreamSettings,
  prefix: string | undefined,
): Pick<ForwardTarget, 'fields' | 'dropped'> {
  const edits = readFieldEdits(requestFields)
  const own = prefix === undefined ? [] : ['X-Forwarded-Prefix', prefix]
  const fields = [...own, ...(edits?.set ?? [])]
  const dropped = edits?.removed ?? []
  return {
    fields: fields.length === 0 ? undefined : fields,
    dropped: dropped.length === 0 ? undefined : dropped,
  }
}

/** Servers over https go by name; those on this machine are asked as the client asks us. */
function hostRule(host: string | undefined, { protocol, host: own }: URL): string {
  const rule = host ?? (protocol === 'https:' ? 'upstream' : 'keep')
  return rule === 'upstream' ? own : rule
}

function upgradeTargetOf({ protocol, hostname, port }: URL): UpgradeTarget {
  const tls = protocol === 'https:'
  const standard = tls ? 443 : 80
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? standard : Number(port), tls }
}
