import { openAddressList } from '../../../core/addresses.ts'
import { FlexiError } from '../../../core/errors.ts'
import { wildcard, type Pattern } from '../../../core/expressions.ts'
import type { RequestContext, SocketFetcher } from '../../../core/fetcher.ts'
import { splitTarget } from './front-end.ts'
import { letPass } from './passage.ts'
import type { ListenerConditions, RouteOptions } from './route-options.ts'

/** A request, as conditions look at it. */
type Asked = Pick<RequestContext, 'raw' | 'clientAddress'>

type Condition = (asked: Asked) => boolean

interface Rule {
  readonly options: RouteOptions
  readonly priority: number
  readonly conditions: readonly Condition[]
  readonly target: SocketFetcher
}

/**
 * A listener of a load balancer: its rules are asked in the order of their priorities, whichever of their routes a request came by.
 * Source: Elastic Load Balancing guide, listener rules.
 */
export class Listener {
  readonly #rules: Rule[] = []

  /** Adds a rule; what it returns answers for the whole listener. */
  bind(options: RouteOptions, target: SocketFetcher): SocketFetcher {
    const { priority = Infinity, conditions = {} } = options.listener ?? {}
    this.#rules.push({ options, priority, conditions: conditionsOf(conditions), target })
    this.#rules.sort((left, right) => left.priority - right.priority)
    return {
      handle: async (incoming, outgoing, context) => {
        const rule = this.#rules.find((one) => one.conditions.every((holds) => holds(context)))
        if (rule === undefined)
          throw new FlexiError('FLEXI_NO_ROUTE', 'no rule of the load balancer takes this request')
        letPass(context, { route: rule.options })
        await rule.target.handle(incoming, outgoing, context)
      },
    }
  }
}

/** Each must hold; of the values of one, any. */
function conditionsOf({ path, method, host, headers = [], query, ip }: ListenerConditions): Condition[] {
  const found: Condition[] = []
  if (method !== undefined) found.push(({ raw }) => method.includes(raw.method))
  if (path !== undefined) {
    const paths = path.map((pattern) => wildcard(pattern))
    found.push(({ raw }) => matchesAny(paths, splitTarget(raw.target).path))
  }
  if (host !== undefined) {
    const hosts = host.map((pattern) => wildcard(pattern, { ignoreCase: true }))
    found.push(({ raw }) => valuesOf(raw.fields, 'host').some((value) => isHost(hosts, value)))
  }
  for (const { name, values } of headers) {
    const patterns = values.map((pattern) => wildcard(pattern, { ignoreCase: true }))
    found.push(({ raw }) => valuesOf(raw.fields, name).some((value) => matchesAny(patterns, value)))
  }
  if (query !== undefined) found.push(queryCondition(query))
  if (ip !== undefined) {
    const addresses = openAddressList(ip)
    found.push(({ clientAddress }) => addresses.has(clientAddress))
  }
  return found
}

function queryCondition(wanted: NonNullable<ListenerConditions['query']>): Condition {
  const patterns = wanted.map(({ key, value }) => ({
    key: key === undefined ? undefined : wildcard(key, { ignoreCase: true }),
    value: wildcard(value, { ignoreCase: true }),
  }))
  return ({ raw }) => {
    const pairs = [...new URLSearchParams(splitTarget(raw.target).query)]
    return pairs.some(([key, value]) =>
      patterns.some((pattern) => pattern.key?.test(key) !== false && pattern.value.test(value)),
    )
  }
}

/** A port that is not the usual one is part of the field, and hardly ever of a condition. */
function isHost(patterns: readonly Pattern[], value: string): boolean {
  return matchesAny(patterns, value) || matchesAny(patterns, value.replace(/:\d+$/, ''))
}

function matchesAny(patterns: readonly Pattern[], text: string): boolean {
  return patterns.some((pattern) => pattern.test(text))
}

function valuesOf(fields: readonly string[], name: string): readonly string[] {
  const wanted = name.toLowerCase()
  return fields.filter((_value, index) => index % 2 === 1 && fields[index - 1]?.toLowerCase() === wanted)
}
