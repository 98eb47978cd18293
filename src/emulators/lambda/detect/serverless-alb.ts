import { parseAddressBlock } from '../../../core/addresses.ts'
import { parseTemplate, type RouteMatcher, type RouteRule } from '../../../core/route.ts'
import type { ListenerConditions, RouteOptions } from '../front-ends/route-options.ts'
import { listOrNone, mapOf, numberOrNone, textOrNone } from './api-settings.ts'
import { valueIn, type EventContext, type Service } from './service.ts'
import { withoutNone } from './source-values.ts'
import type { Value, ValueMap } from './value.ts'
import { expanded } from './variables.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

/** All listeners of a service share the server's port here, so their rules are asked as one's. */
const HERE = 'load balancers'

/** Conditions that a route cannot look at. */
const UNSEEN = ['host', 'header', 'query', 'ip'] as const

/** A rule of a load balancer's listener: routes where paths and methods say all, else a rule that the listener itself asks. */
export function addAlb(context: EventContext, event: YamlNode): void {
  const settings = mapOf(valueIn(context.service, event))
  const listener = listenerOf(settings)
  if (rulesOf(context.service).some((one) => listenerOf(one) === listener && !isPlain(one)))
    addRule(context, event, settings)
  else addRoutes(context, event, settings)
}

function addRoutes({ name, service }: EventContext, event: YamlNode, settings: ValueMap): void {
  const conditions = mapOf(settings['conditions'])
  const methods = listOrNone(conditions['method']) ?? ['ANY']
  const options = optionsOf(settings)
  for (const path of listOrNone(conditions['path']) ?? ['*']) {
    const matchers = methods.map((method) => matcherOf(method, path)).filter((one) => one !== undefined)
    const rules = matchers.map((matcher): RouteRule => ({
      matcher,
      target: { kind: 'function', name },
      pattern: `${matcher.method ?? 'ANY'} ${path}`,
      origin: event.place,
      options,
    }))
    service.findings.routes.push(...rules)
  }
}

/** Its route takes whatever no other route does; the listener then asks all its rules in their order. */
function addRule({ name, service }: EventContext, event: YamlNode, settings: ValueMap): void {
  const priority = numberOrNone(settings['priority']) ?? Infinity
  const conditions = conditionsOf(mapOf(settings['conditions']))
  const ip = conditions.ip?.filter((block) => parseAddressBlock(block) !== undefined)
  if (ip?.length !== conditions.ip?.length)
    service.findings.faults.push(
      faultAt(event, 'a condition on addresses has one that is none', { hint: 'Write 10.0.0.0/8.' }),
    )
  service.findings.routes.push({
    matcher: { kind: 'template', method: undefined, segments: undefined },
    target: { kind: 'function', name },
    pattern: patternOf(priority, conditions),
    origin: event.place,
    options: {
      ...optionsOf(settings),
      listener: { name: HERE, priority, conditions: withoutNone({ ...conditions, ip }) },
    } satisfies RouteOptions,
  })
}

function optionsOf(settings: ValueMap): RouteOptions {
  return { frontEnd: 'alb', multiValueHeaders: settings['multiValueHeaders'] === true }
}

/** `rule 2: GET, /lb/*, a.test` */
function patternOf(priority: number, { method, path, host, headers, query, ip }: ListenerConditions): string {
  const fields = headers?.map(({ name }) => name)
  const parts = [method, path, host, fields, query?.map(({ key = '', value }) => `?${key}=${value}`), ip]
  const said = parts.flatMap((part) => part?.join(' ') ?? [])
  return `rule ${priority}: ${said.length === 0 ? 'everything' : said.join(', ')}`
}

function conditionsOf(conditions: ValueMap): ListenerConditions {
  const method = listOrNone(conditions['method'])?.map((one) => one.toUpperCase())
  const isAny = method?.some((one) => one === 'ANY' || one === '*') === true
  return withoutNone<ListenerConditions>({
    method: isAny ? undefined : method,
    path: listOrNone(conditions['path']),
    host: listOrNone(conditions['host']),
    headers: headersOf(conditions['header']),
    query: queryOf(conditions['query']),
    ip: listOrNone(conditions['ip']),
  })
}

/** `{ name, values }`, or several of them. */
function headersOf(value: Value | undefined): ListenerConditions['headers'] {
  if (value === undefined || value === null) return undefined
  const list = Array.isArray(value) ? value : [value]
  return list.map((one) => {
    const { name, values } = mapOf(one as Value)
    return { name: textOrNone(name) ?? '', values: listOrNone(values) ?? [] }
  })
}

/** `{ bar: true }`: one of the pairs is enough. */
function queryOf(value: Value | undefined): ListenerConditions['query'] {
  const pairs = Object.entries(mapOf(value))
  return pairs.length === 0 ? undefined : pairs.map(([key, one]) => ({ key, value: textOrNone(one) ?? '' }))
}

/** All rules of all load balancers of a service. */
function rulesOf(service: Service): readonly ValueMap[] {
  return service.functions.flatMap(([, node]) =>
    (expanded(node.get('events'), service.source)?.items() ?? []).flatMap((item) => {
      const event = expanded(item, service.source)?.get('alb')
      return event === undefined ? [] : [mapOf(valueIn(service, event))]
    }),
  )
}

function listenerOf({ listenerArn }: ValueMap): string {
  return typeof listenerArn === 'object' ? JSON.stringify(listenerArn) : (textOrNone(listenerArn) ?? '')
}

function isPlain(settings: ValueMap): boolean {
  const conditions = mapOf(settings['conditions'])
  const paths = listOrNone(conditions['path']) ?? ['*']
  return (
    UNSEEN.every((name) => conditions[name] === undefined) &&
    paths.every((path) => matcherOf('ANY', path) !== undefined)
  )
}

function matcherOf(method: string, path: string): Extract<RouteMatcher, { kind: 'template' }> | undefined {
  const verb = /^(any|\*)$/i.test(method) ? undefined : method.toUpperCase()
  if (path === '*' || path === '/*') return { kind: 'template', method: verb, segments: undefined }
  const template = path.replace(/\/\*$/, '/{rest+}')
  if (/[*?]/.test(template)) return undefined
  return { kind: 'template', method: verb, segments: parseTemplate(template) }
}
