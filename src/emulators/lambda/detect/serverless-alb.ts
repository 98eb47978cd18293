import { parseTemplate, type RouteMatcher, type RouteRule } from '../../../core/route.ts'
import { listOrNone, mapOf } from './api-settings.ts'
import { valueIn, type EventContext } from './service.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

/** Conditions of a listener that no route here can look at. */
const UNSEEN = ['host', 'header', 'query', 'ip'] as const

/** The rules of a load balancer's listener: a path may end in `*`. */
export function addAlb({ name, service }: EventContext, event: YamlNode): void {
  const settings = mapOf(valueIn(service, event))
  const conditions = mapOf(settings['conditions'])
  for (const unseen of UNSEEN) {
    const node = event.at('conditions', unseen)
    if (node !== undefined)
      service.findings.faults.push(
        faultAt(node, `the condition ${unseen} is not emulated: requests of any kind are taken`, {
          severity: 'warning',
        }),
      )
  }
  const methods = listOrNone(conditions['method']) ?? ['ANY']
  for (const path of listOrNone(conditions['path']) ?? ['*']) {
    const matchers = methods.map((method) => matcherOf(method, path))
    const rules = matchers.filter((matcher) => matcher !== undefined)
    if (rules.length < matchers.length)
      service.findings.faults.push(
        faultAt(event, `the path ${path} is not emulated: "*" may only be its last part`, {
          severity: 'warning',
        }),
      )
    service.findings.routes.push(
      ...rules.map((matcher): RouteRule => ({
        matcher,
        target: { kind: 'function', name },
        pattern: `${matcher.method ?? 'ANY'} ${path}`,
        origin: event.place,
        options: { frontEnd: 'alb', multiValueHeaders: settings['multiValueHeaders'] === true },
      })),
    )
  }
}

function matcherOf(method: string, path: string): Extract<RouteMatcher, { kind: 'template' }> | undefined {
  const verb = /^(any|\*)$/i.test(method) ? undefined : method.toUpperCase()
  if (path === '*' || path === '/*') return { kind: 'template', method: verb, segments: undefined }
  const template = path.replace(/\/\*$/, '/{rest+}')
  if (/[*?]/.test(template)) return undefined
  return { kind: 'template', method: verb, segments: parseTemplate(template) }
}
