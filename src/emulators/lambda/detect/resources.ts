import type { Resource, TopicSubscription } from '../service/resource.ts'

/** One of a kind and name: what is said of a topic in several places belongs together. */
export function mergedResources(resources: readonly Resource[]): Resource[] {
  const merged = new Map<string, Resource>()
  for (const resource of resources) {
    const within = resource.kind === 'rule' ? (resource.bus ?? 'default') : ''
    const key = `${resource.kind} ${within} ${resource.name}`
    const before = merged.get(key)
    merged.set(key, before === undefined ? resource : both(before, resource))
  }
  return [...merged.values()]
}

function both(before: Resource, resource: Resource): Resource {
  if (before.kind === 'topic' && resource.kind === 'topic')
    return { ...before, ...resource, subscriptions: [...before.subscriptions, ...resource.subscriptions] }
  if (before.kind === 'queue' && resource.kind === 'queue')
    return { ...before, attributes: { ...before.attributes, ...resource.attributes } }
  if (before.kind === 'rule' && resource.kind === 'rule')
    return { ...before, targets: [...before.targets, ...resource.targets] }
  return before
}

/** A topic that need not be declared here: subscribing is enough. */
export function subscription(topic: string, one: TopicSubscription): Resource {
  return { kind: 'topic', name: nameInArn(topic), subscriptions: [one] }
}

/** `arn:aws:sns:us-east-1:123456789012:orders` → `orders`; a name is itself. */
export function nameInArn(arn: string): string {
  return arn.startsWith('arn:') ? (arn.split(':').at(-1) ?? arn) : arn
}
